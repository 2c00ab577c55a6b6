package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/manager"
)

// TestReloadTouchesOnlyWhatChanged changes one thing at a time while the workers of
// three functions have jobs to do all the time: no job may be lost or fail, no function
// may have fewer workers registered than its count, and workers that the change does
// not concern must be the same processes throughout.
func TestReloadTouchesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*reloadFleet)
	}{
		{"count of a plugin", func(f *reloadFleet) { f.changeCount("plug") }},
		{"count of a PHP function", func(f *reloadFleet) { f.changeCount("script") }},
		{"count of an executable", func(f *reloadFleet) { f.changeCount("tool") }},
		{"timeout of a plugin", func(f *reloadFleet) { f.changeTimeout("plug") }},
		{"timeout of a PHP function", func(f *reloadFleet) { f.changeTimeout("script") }},
		{"timeout of an executable", func(f *reloadFleet) { f.changeTimeout("tool") }},
		{"max_runs of a plugin", func(f *reloadFleet) { f.changeRuns("plug") }},
		{"max_runs of a PHP function", func(f *reloadFleet) { f.changeRuns("script") }},
		{"max_memory of a plugin", func(f *reloadFleet) { f.changeMemory("plug") }},
		{"max_memory of a PHP function", func(f *reloadFleet) { f.changeMemory("script") }},
		{"plugin by cp over the running one", func(f *reloadFleet) { f.changeCode("plug", (*reloadFleet).byCopy) }},
		{"plugin by mv", func(f *reloadFleet) { f.changeCode("plug", (*reloadFleet).move) }},
		{"plugin as rsync does", func(f *reloadFleet) { f.changeCode("plug", (*reloadFleet).likeRsync) }},
		{"plugin by cp in two halves", (*reloadFleet).changeInHalves},
		{"PHP file by an editor", func(f *reloadFleet) { f.changeCode("script", (*reloadFleet).asEditor) }},
		{"PHP file by cp", func(f *reloadFleet) { f.changeCode("script", (*reloadFleet).byCopy) }},
		{"executable by mv", (*reloadFleet).changeExecutable},
		{"new file", (*reloadFleet).addFile},
		{"removed executable", (*reloadFleet).removeExecutable},
		{"touch", (*reloadFleet).touchAll},
		{"broken plugin", func(f *reloadFleet) { f.breakCode("plug", "broken") }},
		{"broken PHP file", func(f *reloadFleet) { f.breakCode("script", "broken") }},
		{"plugin that cannot begin", (*reloadFleet).stillborn},
		{"syntax error in the config", (*reloadFleet).breakConfig},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newLoaded(t)
			c.change(f)
			f.finish()
		})
	}
}

// loadedFunctions are those of threeKinds.
func loadedFunctions() []string { return []string{"plug", "script", "tool"} }

// besides lists them without one.
func besides(function string) []string {
	return slices.DeleteFunc(loadedFunctions(), func(f string) bool { return f == function })
}

// changeCount starts and drains just the difference.
func (f *reloadFleet) changeCount(function string) {
	began := f.seen.mark()
	two := f.seen.pids(function)
	f.set(function, "dedicated_count", "6")
	six := pidsOf(f.settle(map[string]int{function: 6}), function)
	f.tb.Logf("2 → 6 slots settled after %v", time.Since(began))
	f.seen.wantNeverBelow(function, 2)
	f.wantSubset("those of two", two, six)
	f.seen.wantUndisturbed(besides(function)...)
	began = f.seen.mark()
	f.set(function, "dedicated_count", "3")
	three := pidsOf(f.settle(map[string]int{function: 3}), function)
	f.tb.Logf("6 → 3 slots settled after %v", time.Since(began))
	f.seen.wantNeverBelow(function, 3)
	f.wantSubset("those of three", three, six)
	f.seen.wantUndisturbed(besides(function)...)
	f.waitRegistered(map[string]int{function: 3})
}

// wantSubset looks that some processes are among others.
func (f *reloadFleet) wantSubset(what string, some, all []int) {
	f.tb.Helper()
	for _, pid := range some {
		if !slices.Contains(all, pid) {
			f.tb.Errorf("%s are %v, want them among %v", what, some, all)
			return
		}
	}
}

// changeTimeout has a limit hold for workers that run.
func (f *reloadFleet) changeTimeout(function string) {
	began := f.seen.mark()
	f.set(function, "timeout", "1")
	f.waitReloaded(began)
	f.seen.wantUndisturbed(loadedFunctions()...)
	workload := fmt.Sprintf("long 20 %s", filepath.Join(f.dir, "other-runs"))
	result, err := f.client.Do(f.ctx(), gearclient.Request{Function: function, Workload: []byte(workload)})
	took := time.Since(began)
	if err == nil || took > 15*time.Second {
		f.tb.Errorf("a job of 20 s with a timeout of 1 s: %q, %v, %v after the change", result, err, took)
	}
	f.settle(map[string]int{function: 2})
	f.seen.wantUndisturbed(besides(function)...)
	if kills := f.m.happenedSince(began, "worker_killed"); len(kills) > 1 {
		f.tb.Errorf("one job was over its timeout, and these were killed: %v", kills)
	}
	f.m.forget()
}

// changeRuns has a limit hold for workers that run: it is not reached at first, then it
// is at once.
func (f *reloadFleet) changeRuns(function string) {
	began := f.seen.mark()
	f.set(function, "max_runs_per_worker", "1000000")
	f.waitReloaded(began)
	f.seen.wantUndisturbed(loadedFunctions()...)
	old := f.seen.pids(function)

	const most = 40
	began = time.Now()
	f.set(function, "max_runs_per_worker", fmt.Sprint(most))
	testutil.WaitFor(f.tb, "ten workers to have had their jobs", func() bool { return len(f.loadOf(function).byPID(began)) >= 10 })
	f.seen.wantNeverBelow(function, 2)
	f.seen.wantUndisturbed(besides(function)...)
	for pid, n := range f.loadOf(function).byPID(began) {
		if n > most && !slices.Contains(old, pid) {
			f.tb.Errorf("worker %d has performed %d jobs, want %d at most", pid, n, most)
		}
	}
}

// changeMemory has each job be the last of its worker, and then not any more.
func (f *reloadFleet) changeMemory(function string) {
	began := f.seen.mark()
	f.set(function, "max_memory", "100M")
	f.waitReloaded(began)
	f.seen.wantUndisturbed(loadedFunctions()...)

	old := f.seen.pids(function)
	f.set(function, "max_memory", "64K")
	testutil.WaitFor(f.tb, "both workers to be replaced", func() bool {
		return !slices.ContainsFunc(pidsOf(f.m.snapshot(), function), func(pid int) bool { return slices.Contains(old, pid) })
	})
	f.set(function, "max_memory", "0")
	f.settle(map[string]int{function: 2})
	f.seen.wantUndisturbed(besides(function)...) // where each job is the last of its worker, starting others takes longer than the jobs
}

// changeCode puts version v2 in the place of v1, in some way.
func (f *reloadFleet) changeCode(function string, way func(f *reloadFleet, from, to string)) {
	f.tb.Helper()
	f.seen.mark()
	old := f.seen.pids(function)
	aside := filepath.Join(f.dir, "next-"+fileOf(function))
	f.write(aside, release(f.tb, fileOf(function), "v2"))
	way(f, aside, filepath.Join(f.workers, fileOf(function)))
	done := time.Now()
	f.waitVersion(function, "v2")
	f.tb.Logf("v2 answered %v after it was in place, all workers were new after %v", f.loadOf(function).first("v2").Sub(done), time.Since(done))
	f.wantReplaced(function, old)
}

// wantReplaced looks that all workers of a function are others, that there were
// always enough, and that others were not touched.
func (f *reloadFleet) wantReplaced(function string, old []int) {
	f.tb.Helper()
	for _, pid := range pidsOf(f.m.snapshot(), function) {
		if slices.Contains(old, pid) {
			f.tb.Errorf("%s: worker %d is still there", function, pid)
		}
	}
	f.seen.wantNeverBelow(function, 2)
	f.seen.wantUndisturbed(besides(function)...)
	if most := f.seen.highest(function); most > 3 {
		f.tb.Errorf("%s: %d workers were registered at once, want 3 at most", function, most)
	}
}

// byCopy is cp, which writes into the file that is there.
func (f *reloadFleet) byCopy(from, to string) {
	f.tb.Helper()
	if text, err := exec.CommandContext(f.ctx(), "cp", from, to).CombinedOutput(); err != nil {
		f.tb.Fatalf("cp: %v: %s", err, text)
	}
}

// likeRsync is rsync: the real one where it is installed, and else what it does, which
// is to write a hidden file beside the old one and move it there.
func (f *reloadFleet) likeRsync(from, to string) {
	f.tb.Helper()
	if path, err := exec.LookPath("rsync"); err == nil {
		if text, err := exec.CommandContext(f.ctx(), path, "-a", from, to).CombinedOutput(); err != nil {
			f.tb.Fatalf("rsync: %v: %s", err, text)
		}
		return
	}
	hidden := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".x7Qm2e")
	f.byCopy(from, hidden)
	f.move(hidden, to)
}

// asEditor saves as vim does: it tries whether files can be made, keeps the old file
// as a backup while it writes the new one, and removes it then.
func (f *reloadFleet) asEditor(from, to string) {
	f.tb.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		f.tb.Fatal(err)
	}
	trial, swap := filepath.Join(filepath.Dir(to), "4913"), filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".swp")
	f.write(swap, []byte("b0VIM"))
	f.write(trial, nil)
	f.remove(trial)
	f.move(to, to+"~")
	f.write(to, content)
	f.remove(to + "~")
	f.remove(swap)
}

// changeInHalves copies a plugin so slowly that a half of it lies there for a second.
func (f *reloadFleet) changeInHalves() {
	f.seen.mark()
	old := f.seen.pids("plug")
	content := release(f.tb, "plug", "v2")
	file, err := os.OpenFile(filepath.Join(f.workers, "plug"), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		f.tb.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // closed below
	if _, err := file.Write(content[:len(content)/2]); err != nil {
		f.tb.Fatal(err)
	}
	testutil.Pause(f.tb, 2)
	f.seen.wantUndisturbed(loadedFunctions()...)
	if _, err := file.Write(content[len(content)/2:]); err != nil {
		f.tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		f.tb.Fatal(err)
	}
	f.waitVersion("plug", "v2")
	f.wantReplaced("plug", old)
	testutil.WaitFor(f.tb, "no problem to be left", func() bool { return len(f.m.snapshot().Reload.Problems) == 0 })
}

// changeExecutable replaces one, which runs in its place: no worker has to.
func (f *reloadFleet) changeExecutable() {
	f.seen.mark()
	f.put("tool.sh", "v2")
	f.waitVersion("tool", "v2")
	f.seen.wantUndisturbed(loadedFunctions()...)
}

// addFile adds a function.
func (f *reloadFleet) addFile() {
	f.seen.mark()
	f.put("extra.php", "v1")
	f.waitRegisteredAtLeast("extra", 1)
	if got, err := f.do("extra", "one 0 "+filepath.Join(f.dir, "other-runs")); err != nil || !strings.HasPrefix(got, "one v1 ") {
		f.tb.Errorf("the new function: %q, %v", got, err)
	}
	f.seen.wantUndisturbed(loadedFunctions()...)
}

// removeExecutable removes a function with a job in hand.
func (f *reloadFleet) removeExecutable() {
	f.seen.mark()
	f.loadOf("tool").end()
	last := f.async("tool", "last 2 "+filepath.Join(f.dir, "other-runs"))
	testutil.WaitFor(f.tb, "the job to be in hand", func() bool { return f.runsCommand("sleep 2") })
	f.remove(filepath.Join(f.workers, "tool.sh"))
	if a := testutil.Receive(f.tb, "the last job", last); a.err != nil {
		f.tb.Errorf("the job that was in hand: %v", a.err)
	}
	testutil.WaitFor(f.tb, "the pool to be gone", func() bool {
		return f.registered("tool") == 0 && poolOf(f.m.snapshot(), "tool").Name == ""
	})
	f.seen.wantUndisturbed(besides("tool")...)
}

// runsCommand tells whether a process of the fleet has that command line.
func (f *reloadFleet) runsCommand(text string) bool {
	return slices.ContainsFunc(f.processes(), func(p testutil.Process) bool { return p.Cmd == text })
}

// touchAll changes nothing but times.
func (f *reloadFleet) touchAll() {
	began := f.seen.mark()
	before := f.m.snapshot().Reload.At
	now := time.Now()
	for _, path := range []string{f.config, filepath.Join(f.workers, "plug"), filepath.Join(f.workers, "script.php"), filepath.Join(f.workers, "tool.sh")} {
		if err := os.Chtimes(path, now, now); err != nil {
			f.tb.Fatal(err)
		}
	}
	testutil.Pause(f.tb, 3)
	f.seen.wantUndisturbed(loadedFunctions()...)
	if s := f.m.snapshot(); !s.Reload.At.Equal(before) || len(s.Reload.Problems) > 0 {
		f.tb.Errorf("after touching all files: %+v, want no reload since %v", s.Reload, before)
	}
	for _, e := range f.m.happenedSince(began, "") {
		f.tb.Errorf("touching all files led to %s: %s", e.Name, e.Text)
	}
}

// breakCode puts a broken program in the place of one that runs, and then mends it.
func (f *reloadFleet) breakCode(function, version string) {
	began := f.seen.mark()
	old := f.seen.pids(function)
	f.put(fileOf(function), version)
	f.waitProblem(fileOf(function))
	testutil.Pause(f.tb, 1)
	f.seen.wantUndisturbed(loadedFunctions()...)
	if problems := f.m.happenedSince(began, "problem_found"); len(problems) != 1 || !strings.Contains(problems[0].Text, fileOf(function)) {
		f.tb.Errorf("the events say %+v, want one about %s", problems, fileOf(function))
	}
	f.put(fileOf(function), "v3")
	f.waitVersion(function, "v3")
	f.wantReplaced(function, old)
	if problems := f.m.snapshot().Reload.Problems; len(problems) > 0 {
		f.tb.Errorf("it was mended, and there is still: %v", problems)
	}
}

// waitProblem waits until the fleet shows a problem with that text.
func (f *reloadFleet) waitProblem(text string) manager.ReloadStatus {
	f.tb.Helper()
	var status manager.ReloadStatus
	testutil.WaitFor(f.tb, "a problem that names "+text, func() bool {
		status = f.m.snapshot().Reload
		return strings.Contains(problemText(status.Problems), text)
	})
	return status
}

// stillborn is a plugin that says what it performs and then cannot begin to: the old
// workers stay, and the next change is tried.
func (f *reloadFleet) stillborn() {
	f.seen.mark()
	old := f.seen.pids("plug")
	f.put("plug", "stillborn")
	testutil.WaitFor(f.tb, "the pool to show the fault", func() bool { return f.m.pool("plug").Fault != "" })
	f.tb.Logf("fault: %s", f.m.pool("plug").Fault)
	testutil.Pause(f.tb, 2)
	for _, pid := range old {
		if !slices.Contains(pidsOf(f.m.snapshot(), "plug"), pid) {
			f.tb.Errorf("worker %d has left, though no other can take its place", pid)
		}
	}
	f.seen.wantNeverBelow("plug", 2)
	f.seen.wantUndisturbed(besides("plug")...)
	f.put("plug", "v3")
	f.waitVersion("plug", "v3")
	f.wantReplaced("plug", old)
	if fault := f.m.pool("plug").Fault; fault != "" {
		f.tb.Errorf("it was mended, and there is still: %s", fault)
	}
}

// breakConfig puts a mistake into the config, beside a change that is good.
func (f *reloadFleet) breakConfig() {
	began := f.seen.mark()
	good := f.text
	f.configure(strings.Replace(good, "[tool]", "count = many\n[tool]\ntimeout = 1", 1))
	status := f.waitProblem("many")
	line := 1 + strings.Count(good[:strings.Index(good, "[tool]")], "\n")
	if !status.Refused || len(status.Problems) != 1 || status.Problems[0].Line != line || status.Problems[0].File == "" {
		f.tb.Errorf("the snapshot shows %+v, want one error in line %d", status, line)
	}
	testutil.Pause(f.tb, 1)
	f.seen.wantUndisturbed(loadedFunctions()...)
	if refused := f.m.happenedSince(began, "config_refused"); len(refused) != 1 || !strings.Contains(refused[0].Text, "many") {
		f.tb.Errorf("the events say %+v, want it once", refused)
	}
	// New code is taken all the same.
	f.put("script.php", "v2")
	f.waitVersion("script", "v2")
	if !f.m.snapshot().Reload.Refused {
		f.tb.Error("the error is not shown any more, though nobody has mended it")
	}
	f.configure(strings.Replace(good, "[script]", "[script]\ntimeout = 9", 1))
	testutil.WaitFor(f.tb, "the error to be gone", func() bool {
		s := f.m.snapshot().Reload
		return !s.Refused && len(s.Problems) == 0
	})
	if accepted := f.m.happenedSince(began, "config_accepted"); len(accepted) != 1 {
		f.tb.Errorf("the events say %+v, want once that it was mended", accepted)
	}
	f.seen.wantUndisturbed(besides("script")...)
	f.seen.wantNeverBelow("script", 2)
}
