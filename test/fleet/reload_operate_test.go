package fleet

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/manager"
)

// TestRollOfEveryKind replaces all workers while they have more to do than they can:
// one by one, without a dip, and never with more jobs in hand than there are slots.
func TestRollOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, name, ini string
		workers         int // processes
		extra           int // jobs at once beyond the slots
	}{
		{"plugin", "plug", "", 3, 0},
		{"plugin of several slots", "plug", "concurrency = 2\n", 2, 0}, // of two and one
		{"PHP", "script", "", 3, 0},
		{"executable", "tool", "", 1, 0},
		{"executable of one slot", "tool", "concurrency = 1\n", 3, 0},
		// A program that takes its jobs by itself cannot be held back.
		{"standalone", "alone", "mode = standalone\ncommand = WORKERS/release alone\nstart_seconds = 0.5\n", 3, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			f := newReload(t)
			f.putThree(f.workers, "v1")
			f.write(filepath.Join(f.dir, "release"), release(t, "alone", "v1"))
			section := "[" + c.name + "]\ndedicated_only = 1\ndedicated_count = 3\n" + strings.ReplaceAll(c.ini, "WORKERS", f.dir)
			f.serve("[GearmanManager]\nhost = SERVER\nworker_dir = DIR/workers\nstate_dir = DIR/state\nruntime_dir = RUNTIME\nmax_worker_lifetime = 0\n" + section)
			f.settle(map[string]int{c.name: 3})
			f.waitRegistered(map[string]int{c.name: 3})
			f.load(c.name, 6, 0.05)
			f.record()
			for _, function := range []string{c.name, ""} {
				f.roll(c.name, function, c.workers, c.extra)
			}
			f.finish()
		})
	}
}

// roll replaces the workers of a function, which performs, by a name, or all.
func (f *reloadFleet) roll(function, name string, workers, extra int) {
	f.tb.Helper()
	began := f.seen.mark()
	old := f.seen.pids(function)
	r := f.m.must(order{Do: "restart", Function: name})
	if name != "" && r.Workers != workers {
		f.tb.Errorf("%d workers are to be replaced, want %d", r.Workers, workers)
	}
	testutil.WaitFor(f.tb, "all workers to be new", func() bool {
		return !slices.ContainsFunc(pidsOf(f.m.snapshot(), function), func(pid int) bool { return slices.Contains(old, pid) })
	})
	f.settle(map[string]int{function: 3})
	l := f.loadOf(function)
	n := l.begun() + int64(2*l.clients)
	testutil.WaitFor(f.tb, "later jobs", func() bool { return l.answered(n) })
	f.seen.wantNeverBelow(function, 3)
	if most := f.mostAtOnce(function, began); most > 3+extra {
		f.tb.Errorf("%d jobs were in hand at once, want %d at most", most, 3+extra)
	}
	perWorker := (3 + workers - 1) / workers
	if most := f.seen.highest(function); most > 3+perWorker {
		f.tb.Errorf("%d slots were registered at once, want %d at most", most, 3+perWorker)
	}
}

// TestOperatorsWishesSurvive restarts a manager, by a stop and by a kill, with
// functions that somebody has scaled, paused and drained by hand.
func TestOperatorsWishesSurvive(t *testing.T) {
	t.Parallel()
	f := newReload(t)
	f.putThree(f.workers, "v1")
	f.serve(threeKinds)
	f.settle(map[string]int{"plug": 2, "script": 2, "tool": 2})
	f.m.must(order{Do: "scale", Scalings: []manager.Scaling{{Function: "plug", Slots: 5}}})
	f.m.must(order{Do: "pause", Function: "script"})
	f.m.must(order{Do: "drain", Function: "tool"})
	f.settle(map[string]int{"plug": 5, "script": 2})
	f.wantWishes()
	f.stopServed()

	f.startAgain()
	f.settle(map[string]int{"plug": 5, "script": 2})
	f.wantWishes()
	f.m.kill()
	f.waitNoPHP()

	f.startAgain()
	f.settle(map[string]int{"plug": 5, "script": 2})
	f.wantWishes()

	// What is paused waits, and is done when it is resumed.
	waiting := f.async("script", "waits 0 "+f.runs)
	drained := f.async("tool", "drained 0 "+f.runs)
	testutil.Pause(t, 1)
	select {
	case a := <-waiting:
		t.Errorf("a paused function has done a job: %+v", a)
	case a := <-drained:
		t.Errorf("a drained function has done a job: %+v", a)
	default:
	}
	f.m.must(order{Do: "resume", Function: "script"})
	f.m.must(order{Do: "resume", Function: "tool"})
	for _, c := range []<-chan answer{waiting, drained} {
		if a := testutil.Receive(t, "the job that waited", c); a.err != nil {
			t.Errorf("the job that waited: %v", a.err)
		}
	}
	f.settle(map[string]int{"plug": 5, "script": 2, "tool": 2})

	// The number by hand holds until the config changes.
	f.set("plug", "dedicated_count", "3")
	f.settle(map[string]int{"plug": 3, "script": 2, "tool": 2})
	if p := f.m.pool("plug"); p.Scaled {
		t.Errorf("the config has changed, and the pool is still scaled by hand: %+v", p)
	}
	f.stopServed()

	f.startAgain()
	s := f.settle(map[string]int{"plug": 3, "script": 2, "tool": 2})
	for _, p := range s.Pools {
		if p.Scaled || len(p.Paused)+len(p.Drained) > 0 {
			t.Errorf("a wish that is over is back: %+v", p)
		}
	}
	f.stopServed()
}

// wantWishes looks at what TestOperatorsWishesSurvive has asked for.
func (f *reloadFleet) wantWishes() {
	f.tb.Helper()
	f.waitRegistered(map[string]int{"plug": 5, "tool": 0})
	s := f.m.snapshot()
	plug, script, tool := poolOf(s, "plug"), poolOf(s, "script"), poolOf(s, "tool")
	got := fmt.Sprint(plug.Scaled, plug.Slots, script.Paused, tool.Drained, pidsOf(s, "tool"))
	if want := "true 5 [script] [tool] []"; got != want {
		f.tb.Errorf("scaled, slots, paused, drained, drained workers: %s, want %s", got, want)
	}
}
