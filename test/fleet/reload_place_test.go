package fleet

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// TestReloadSwitchedLink deploys as many do: a release is a directory, and a link on
// the path of worker_dir is switched to it. What is the same in both goes on.
func TestReloadSwitchedLink(t *testing.T) {
	t.Parallel()
	f := newReload(t)
	one, two := f.mkdir(filepath.Join(f.dir, "releases/1/workers")), f.mkdir(filepath.Join(f.dir, "releases/2/workers"))
	f.putThree(one, "v1")
	f.putThree(two, "v1")
	f.place(filepath.Join(two, "script.php"), release(t, "script.php", "v2"))
	current := filepath.Join(f.dir, "current")
	f.link("releases/1", current)
	f.startLoaded(strings.Replace(threeKinds, "DIR/workers", "DIR/current/workers", 1))

	f.seen.mark()
	old := f.seen.pids("script")
	f.link("releases/2", current)
	f.waitVersion("script", "v2")
	for _, pid := range pidsOf(f.m.snapshot(), "script") {
		if slices.Contains(old, pid) {
			t.Errorf("worker %d of the old code is still there", pid)
		}
	}
	f.seen.wantNeverBelow("script", 2)
	f.seen.wantUndisturbed("plug")
	f.seen.wantNeverBelow("tool", 2)

	// Nothing of the old release is needed any more, not by a successor either.
	if err := os.RemoveAll(filepath.Dir(one)); err != nil {
		t.Fatal(err)
	}
	f.seen.mark()
	testutil.Pause(t, 1)
	f.seen.wantUndisturbed(loadedFunctions()...)

	// The third release has everything new.
	three := f.mkdir(filepath.Join(f.dir, "releases/3/workers"))
	f.putThree(three, "v3")
	f.seen.mark()
	f.link("releases/3", current)
	for _, function := range loadedFunctions() {
		f.waitVersion(function, "v3")
		f.seen.wantNeverBelow(function, 2)
	}
	f.finish()
}

// TestReloadServers moves a fleet from a job server to another, with jobs at both.
func TestReloadServers(t *testing.T) {
	t.Parallel()
	f := newReload(t)
	second := testutil.StartGearmand(t)
	other := jobtest.NewAdmin(t, second.Addr())
	f.putThree(f.workers, "v1")
	f.startLoaded(threeKinds)
	f.seen.watch(second.Addr())
	registered := func(function string) int {
		list, err := other.Status(f.ctx())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Function == function {
				return s.Workers
			}
		}
		return 0
	}
	all := func(first, second int) func() bool {
		return func() bool {
			return !slices.ContainsFunc(loadedFunctions(), func(function string) bool {
				return f.registered(function) != first || registered(function) != second
			})
		}
	}

	f.seen.mark()
	f.set("GearmanManager", "host", f.server.Addr()+","+second.Addr())
	testutil.WaitFor(t, "the workers to be registered with both servers", all(2, 2))
	f.seen.wantUndisturbed(loadedFunctions()...)
	for _, function := range loadedFunctions() {
		f.loadAt(second.Addr(), function, 3, 0.03)
	}
	for _, l := range f.loads[:3] {
		l.end()
	}

	f.seen.mark()
	f.set("GearmanManager", "host", second.Addr())
	testutil.WaitFor(t, "the workers to leave the first server", all(0, 2))
	f.seen.wantUndisturbed(loadedFunctions()...)

	f.endLoads()
	f.seen.mark()
	f.set("GearmanManager", "host", f.server.Addr())
	testutil.WaitFor(t, "the workers to go back to the first server", all(2, 0))
	f.seen.wantUndisturbed(loadedFunctions()...)
	for _, function := range loadedFunctions() {
		f.load(function, 3, 0.03)
	}
	f.seen.await(30)
	f.finish()
}

// TestReloadStorm changes files 20 times a second for ten seconds.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	f := newLoaded(t)
	f.seen.mark()
	const changes = 200
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := range changes {
		<-tick.C
		if n%2 == 0 {
			f.set("tool", "dedicated_count", fmt.Sprint(2+n/2%4))
		} else {
			f.put("script.php", fmt.Sprint("v", n))
		}
	}
	f.set("tool", "dedicated_count", "4")
	f.waitVersion("script", fmt.Sprint("v", changes-1))
	f.settle(map[string]int{"tool": 4})
	reloads := f.seen.reloads()
	t.Logf("%d changes in 10 s: %d reloads", changes, len(reloads))
	if len(reloads) > 6 {
		t.Errorf("%d changes in 10 s led to %d reloads, want few: %v", changes, len(reloads), reloads)
	}
	f.seen.wantUndisturbed("plug")
	f.seen.wantNeverBelow("script", 2)
	f.seen.wantNeverBelow("tool", 2)
	f.finish()
}

// reloads are the moments since the mark at which a reload changed something.
func (r *recorder) reloads() []time.Time {
	r.await(2)
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[time.Time]bool{}
	for _, s := range r.shots {
		if at := s.Reload.At; at.After(r.marked) {
			found[at] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), time.Time.Compare)
}

// TestReloadIncluded adds files of functions beside the config, changes and removes
// them.
func TestReloadIncluded(t *testing.T) {
	t.Parallel()
	f := newReload(t)
	f.putThree(f.workers, "v1")
	dir := f.mkdir(filepath.Join(f.dir, "conf.d"))
	f.startLoaded(strings.Replace(threeKinds, "[plug]", "include = conf.d/*.ini\n[plug]", 1))
	f.seen.mark()
	extra := filepath.Join(dir, "extra.ini")
	section := fmt.Sprintf("[extra]\ncommand = %s\ndedicated_only = 1\ndedicated_count = 2\n", filepath.Join(f.workers, "tool.sh"))
	f.place(extra, []byte(section))
	f.settle(map[string]int{"extra": 2})
	f.waitRegistered(map[string]int{"extra": 2})

	f.place(extra, []byte(strings.Replace(section, "count = 2", "count = 3", 1)))
	f.settle(map[string]int{"extra": 3})

	// One section in two files is a mistake that names both.
	twice := filepath.Join(dir, "twice.ini")
	f.place(twice, []byte("[extra]\ndedicated_count = 9\n"))
	status := f.waitProblem("twice.ini")
	if text := problemText(status.Problems); !status.Refused || !strings.Contains(text, "extra.ini") {
		t.Errorf("a section that stands twice: %+v", status)
	}
	f.seen.wantUndisturbed(loadedFunctions()...)
	f.remove(twice)
	testutil.WaitFor(t, "the mistake to be gone", func() bool { return !f.m.snapshot().Reload.Refused })

	f.remove(extra)
	f.waitRegistered(map[string]int{"extra": 0})
	f.seen.wantUndisturbed(loadedFunctions()...)
	f.finish()
}
