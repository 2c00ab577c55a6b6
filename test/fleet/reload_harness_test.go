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
	"github.com/gearman-manager/gearman-manager/manager"
)

// reloadFleet is a fleet that is changed while it has jobs to do.
type reloadFleet struct {
	*phpFleet

	m       *servedManager
	config  string // path
	runtime string // its runtime_dir
	text    string // what it holds
	workers string // directory of programs
	runs    string // file in which jobs are noted
	loads   []*load
	seen    *recorder
}

// threeKinds is a config with a function of each kind, two slots each.
const threeKinds = `[GearmanManager]
host = SERVER
worker_dir = DIR/workers
state_dir = DIR/state
runtime_dir = RUNTIME
auto_update = 1
max_worker_lifetime = 0
[plug]
dedicated_only = 1
dedicated_count = 2
[script]
dedicated_only = 1
dedicated_count = 2
[tool]
dedicated_only = 1
dedicated_count = 2
`

// fileOf names the programs of these functions.
func fileOf(function string) string {
	return map[string]string{"plug": "plug", "script": "script.php", "tool": "tool.sh"}[function]
}

// newReload prepares a fleet with a directory for programs.
func newReload(tb testing.TB) *reloadFleet {
	tb.Helper()
	php := testutil.Need(tb, "php", "php-cli")
	runtime, err := os.MkdirTemp("", "reload-") //nolint:usetesting // paths of sockets have to be short
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(runtime) }) // a temporary directory
	f := &reloadFleet{phpFleet: phpFleetOf(tb, php, newFleet(tb)), runtime: runtime}
	f.workers, f.runs = f.mkdir(filepath.Join(f.dir, "workers")), filepath.Join(f.dir, "runs")
	f.mkdir(filepath.Join(f.dir, "state"))
	f.config = filepath.Join(f.dir, "config.ini")
	return f
}

// newLoaded starts a fleet of three kinds, version v1, whose functions have jobs to do
// all the time.
func newLoaded(tb testing.TB) *reloadFleet {
	tb.Helper()
	f := newReload(tb)
	f.putThree(f.workers, "v1")
	f.startLoaded(threeKinds)
	return f
}

// putThree puts a release of each of the three functions into a directory.
func (f *reloadFleet) putThree(dir, version string) {
	f.tb.Helper()
	for _, function := range loadedFunctions() {
		f.place(filepath.Join(dir, fileOf(function)), release(f.tb, fileOf(function), version))
	}
}

// startLoaded starts the manager with a config, two slots for each of the three
// functions, and gives these jobs to do.
func (f *reloadFleet) startLoaded(ini string) {
	f.tb.Helper()
	f.serve(ini)
	f.settle(map[string]int{"plug": 2, "script": 2, "tool": 2})
	f.load("plug", 3, 0.02)
	f.load("script", 3, 0.02)
	f.load("tool", 3, 0.05)
	f.record()
}

// put puts a release into the directory of programs.
func (f *reloadFleet) put(name, version string) {
	f.tb.Helper()
	f.place(filepath.Join(f.workers, name), release(f.tb, name, version))
}

// serve starts the manager with a config, in which SERVER, DIR and RUNTIME stand for
// what they name.
func (f *reloadFleet) serve(ini string) {
	f.tb.Helper()
	f.configure(ini)
	f.startAgain()
}

// startAgain starts the manager with the config that is there.
func (f *reloadFleet) startAgain() {
	f.tb.Helper()
	f.tb.Cleanup(f.killPHP) // runs after the manager has been killed
	f.m = f.startServed(f.config)
}

// runProgram starts the program itself instead.
func (f *reloadFleet) runProgram() {
	f.tb.Helper()
	f.tb.Cleanup(f.killPHP) // runs after the manager has been killed
	f.run(f.dir, nil, "-c", f.config, "--log-format", "json")
}

// configure writes the config.
func (f *reloadFleet) configure(ini string) {
	f.tb.Helper()
	f.text = strings.NewReplacer("SERVER", f.server.Addr(), "DIR", f.dir, "RUNTIME", f.runtime).Replace(ini)
	f.place(f.config, []byte(f.text))
}

// set puts a line into a section, in the place of one with its key.
func (f *reloadFleet) set(section, key, value string) {
	f.tb.Helper()
	head, rest, ok := strings.Cut(f.text, "["+section+"]\n")
	if !ok {
		f.tb.Fatalf("the config has no section %s:\n%s", section, f.text)
	}
	var lines []string
	own := true
	for line := range strings.Lines(rest) {
		own = own && !strings.HasPrefix(line, "[")
		if !own || !strings.HasPrefix(line, key+" =") {
			lines = append(lines, line)
		}
	}
	f.configure(head + "[" + section + "]\n" + key + " = " + value + "\n" + strings.Join(lines, ""))
}

// settle waits until pools have as many slots as wanted, all registered, and no worker
// but theirs is there or is to be replaced.
func (f *reloadFleet) settle(want map[string]int) manager.Snapshot {
	f.tb.Helper()
	var s manager.Snapshot
	why := "nothing was seen"
	defer func() {
		if f.tb.Failed() && why != "" {
			f.tb.Logf("not settled: %s", why)
		}
	}()
	testutil.WaitFor(f.tb, fmt.Sprintf("the fleet to settle at %v", want), func() bool {
		s = f.m.snapshot()
		why = f.unsettled(s, want)
		return why == ""
	})
	return s
}

// unsettled says what a snapshot lacks; empty if nothing.
func (f *reloadFleet) unsettled(s manager.Snapshot, want map[string]int) string {
	for function, n := range want {
		p := poolOf(s, function)
		if p.Slots != n || p.Outdated > 0 || p.Leaving {
			return fmt.Sprintf("%s: %+v", function, p)
		}
		ready := 0
		for _, w := range p.Workers {
			if w.State == manager.StateStandby {
				continue
			}
			if w.State != manager.StateReady || w.Outdated {
				return fmt.Sprintf("%s: %+v", function, w)
			}
			ready += w.Ready
		}
		if ready != n {
			return fmt.Sprintf("%s: %d slots are ready: %+v", function, ready, p)
		}
	}
	return ""
}

// waitReloaded waits until a reload after the moment has changed something.
func (f *reloadFleet) waitReloaded(since time.Time) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, "a reload", func() bool { return f.m.snapshot().Reload.At.After(since) })
}

// waitVersion waits until the two workers of a function answer with that version, and
// no others do.
func (f *reloadFleet) waitVersion(function, version string) {
	f.tb.Helper()
	l := f.loadOf(function)
	testutil.WaitFor(f.tb, function+" to answer "+version, func() bool { return l.first(version) != time.Time{} })
	f.settle(map[string]int{function: 2})
	// What was asked before may be answered by those that left.
	after := l.begun()
	testutil.WaitFor(f.tb, "later jobs", func() bool { return l.answered(after + int64(l.clients)) })
	if late := l.others(after+int64(l.clients), version); late != "" {
		f.tb.Errorf("%s: a job after the change was answered by %s, want %s", function, late, version)
	}
}

// pidsOf are the processes of a function's workers, those left out that are being
// started or wait for a place.
func pidsOf(s manager.Snapshot, function string) []int {
	var pids []int
	for _, w := range poolOf(s, function).Workers {
		if w.PID != 0 && w.State != manager.StateStandby && w.State != manager.StateStarting {
			pids = append(pids, w.PID)
		}
	}
	slices.Sort(pids)
	return pids
}

// finish ends the load and the manager, and looks that each job was performed once
// and nobody crashed.
func (f *reloadFleet) finish() {
	f.tb.Helper()
	f.endLoads()
	f.seen.stop()
	f.wantOnce()
	for _, e := range f.m.crashes() {
		f.tb.Errorf("%s: %s", e.Name, e.Text)
	}
	f.stopServed()
}

// stopServed stops the manager, and looks that nothing is left of it.
func (f *reloadFleet) stopServed() {
	f.tb.Helper()
	f.m.stop()
	f.waitNoPHP()
}

// wantOnce looks that every job was performed once.
func (f *reloadFleet) wantOnce() {
	f.tb.Helper()
	times := map[string]int{}
	for _, n := range f.noted() {
		times[n.id]++
	}
	jobs := 0
	for _, l := range f.loads {
		for id := range l.ids() {
			jobs++
			if times[id] != 1 {
				f.tb.Errorf("job %s was performed %d times", id, times[id])
			}
		}
	}
	f.tb.Logf("%d jobs, each answered and performed once", jobs)
}

// run is one that a job has noted.
type jobRun struct {
	id, version string
	pid         int
	begin, end  int64 // ns
}

// noted are the runs of all jobs.
func (f *reloadFleet) noted() []jobRun {
	f.tb.Helper()
	text, err := os.ReadFile(f.runs)
	if err != nil {
		f.tb.Fatal(err)
	}
	var all []jobRun
	for line := range strings.Lines(string(text)) {
		var r jobRun
		if _, err := fmt.Sscan(line, &r.id, &r.version, &r.pid, &r.begin, &r.end); err != nil {
			f.tb.Fatalf("notes: %q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// mostAtOnce is how many jobs of a function were in hand at the same time, at most,
// from a moment on.
func (f *reloadFleet) mostAtOnce(function string, since time.Time) int {
	f.tb.Helper()
	changes := map[int64]int{}
	for _, r := range f.noted() {
		if strings.HasPrefix(r.id, function+"-") && r.begin > since.UnixNano() {
			changes[r.begin]++
			changes[r.end]--
		}
	}
	most, now := 0, 0
	for _, at := range slices.Sorted(maps.Keys(changes)) {
		now += changes[at]
		most = max(most, now)
	}
	return most
}
