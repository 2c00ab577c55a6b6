package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/manager"
)

// TestNewCodeAnswersSoon measures how long it takes from a new file in its place to
// the first job that it has done. A second is wanted; on a machine that does other
// things too ten are allowed.
func TestNewCodeAnswersSoon(t *testing.T) {
	for _, c := range []struct {
		name, function string
		clients        int
		seconds        float64
	}{
		{"idle plugin", "plug", 1, 0},
		{"busy plugin", "plug", 4, 0.2},
		{"idle PHP", "script", 1, 0},
		{"busy PHP", "script", 4, 0.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newReload(t)
			f.putThree(f.workers, "v1")
			f.serve(threeKinds)
			f.settle(map[string]int{"plug": 2, "script": 2, "tool": 2})
			f.record()
			var took []time.Duration
			for round := range 5 {
				took = append(took, f.newCode(c.function, fmt.Sprint("v", round+2), c.clients, c.seconds))
			}
			slices.Sort(took)
			t.Logf("from the file in its place to its first answer: %v", took)
			if longest := took[len(took)-1]; longest > 10*time.Second {
				t.Errorf("new code answered after %v, want a second and at most ten", longest)
			}
			f.finish()
		})
	}
}

// newCode puts a version in its place and returns how long its first answer took. With
// one client the workers have nothing to do before.
func (f *reloadFleet) newCode(function, version string, clients int, seconds float64) time.Duration {
	f.tb.Helper()
	f.seen.mark()
	old := f.seen.pids(function)
	if clients > 1 {
		l := f.load(function, clients, seconds)
		testutil.WaitFor(f.tb, "the workers to be busy", func() bool { return l.answered(int64(clients)) })
	}
	aside := filepath.Join(f.dir, "aside")
	f.write(aside, release(f.tb, fileOf(function), version))
	f.move(aside, filepath.Join(f.workers, fileOf(function)))
	began := time.Now()
	if clients == 1 {
		f.load(function, 1, seconds)
	}
	l := f.loadOf(function)
	f.waitVersion(function, version)
	l.end()
	f.wantReplaced(function, old)
	return l.first(version).Sub(began)
}

// TestRollback puts the old file back.
func TestRollback(t *testing.T) {
	t.Parallel()
	f := newLoaded(t)
	for _, function := range []string{"plug", "script"} {
		for _, version := range []string{"v2", "v1"} {
			f.seen.mark()
			old := f.seen.pids(function)
			begun := f.loadOf(function).begun()
			f.put(fileOf(function), version)
			testutil.WaitFor(t, function+" to answer "+version, func() bool { return f.loadOf(function).last(version) > begun })
			f.settle(map[string]int{function: 2})
			f.wantReplaced(function, old)
		}
		if p := f.m.pool(function); p.Hash == "" {
			t.Errorf("%s: its hash is not shown", function)
		}
	}
	f.wantCopies(1)
	f.finish()
}

// last is the number of the last job that a version answered, 0 if there is none.
func (l *load) last(version string) (n int64) {
	for _, a := range l.answers() {
		if a.version == version {
			n = max(n, a.n)
		}
	}
	return n
}

// wantCopies looks that there are so many private copies of plugins.
func (f *reloadFleet) wantCopies(n int) {
	f.tb.Helper()
	var copies []string
	testutil.WaitFor(f.tb, fmt.Sprintf("%d private copies of plugins, not %v", n, copies), func() bool {
		copies = nil
		_ = filepath.WalkDir(filepath.Join(f.dir, "state"), func(path string, d os.DirEntry, _ error) error { // what goes meanwhile is not there
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o100 != 0 {
				copies = append(copies, path)
			}
			return nil
		})
		return len(copies) == n
	})
}

// TestCrashRestartsTheVersionThatRuns kills workers while the disk has code that was
// not taken.
func TestCrashRestartsTheVersionThatRuns(t *testing.T) {
	t.Parallel()
	f := newReload(t)
	f.putThree(f.workers, "v1")
	f.serve(strings.Replace(threeKinds, "auto_update = 1", "auto_update = 0", 1))
	f.settle(map[string]int{"plug": 2, "script": 2})
	for _, function := range []string{"plug", "script"} {
		f.put(fileOf(function), "v2")
	}
	testutil.Pause(t, 1) // for a reload that should not come
	for _, function := range []string{"plug", "script"} {
		for range 3 {
			old := pidsOf(f.m.snapshot(), function)
			if err := syscall.Kill(old[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			testutil.WaitFor(t, "a successor", func() bool {
				pids := pidsOf(f.m.snapshot(), function)
				return !slices.Contains(pids, old[0]) && len(pids) == 2
			})
			f.settle(map[string]int{function: 2})
			f.wantVersions(function, "v1", pidsOf(f.m.snapshot(), function))
		}
		// By hand it is taken; one function after the other shows that both are.
	}
	report := f.m.must(order{Do: "reload", Reload: manager.ReloadRequest{Config: true, Code: true}}).Report
	var changed []string
	for _, c := range report.Changes {
		changed = append(changed, c.Pool)
	}
	if slices.Sort(changed); !slices.Equal(changed, []string{"plug", "script"}) {
		t.Errorf("the reload says it changes %v, want plug and script", report.Changes)
	}
	for _, function := range []string{"plug", "script"} {
		s := f.settle(map[string]int{function: 2})
		f.wantVersions(function, "v2", pidsOf(s, function))
	}
	f.stopServed()
}

// wantVersions has jobs done until each of the processes has answered with that
// version.
func (f *reloadFleet) wantVersions(function, version string, pids []int) {
	f.tb.Helper()
	answered := map[int]bool{}
	testutil.WaitFor(f.tb, fmt.Sprintf("%s: answers of %v", function, pids), func() bool {
		two := []<-chan answer{}
		for range pids { // at a time, so that none can do all
			two = append(two, f.async(function, "any 0.05 "+filepath.Join(f.dir, "other-runs")))
		}
		for _, c := range two {
			a := <-c
			var id, got string
			var pid int
			if _, err := fmt.Sscan(a.text, &id, &got, &pid); err != nil || a.err != nil || got != version {
				f.tb.Fatalf("%s: %q, %v, want %s", function, a.text, a.err, version)
			}
			answered[pid] = true
		}
		return !slices.ContainsFunc(pids, func(pid int) bool { return !answered[pid] })
	})
}
