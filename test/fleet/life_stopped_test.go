package fleet

import (
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// TestStoppedWorkers stops two workers of every kind by a signal, one that is idle and
// one with a job in hand: the log says so at once, and after ten seconds they are
// replaced, and another does the job.
func TestStoppedWorkers(t *testing.T) {
	t.Parallel()
	for _, k := range lifeKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newLife(t, k.name)
			f.startKind(k, "", "dedicated_count = 3\nconcurrency = 1\n", "-v")
			f.waitRegistered(map[string]int{"act": 3})
			before := f.pids("act")
			runs := f.newNotes("once")
			slow := f.async("act", "once "+string(runs)+" ")
			busy := f.waitBusy("act")
			idle := slices.DeleteFunc(slices.Sorted(maps.Keys(before)), func(name string) bool { return name == busy })[0]
			stopped := time.Now()
			for _, name := range []string{busy, idle} {
				if err := syscall.Kill(before[name], syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			noticed := f.waitSaid("worker stopped", 2)
			testutil.WaitFor(t, "both to be replaced", func() bool {
				now := f.pids("act")
				return now[busy] != 0 && now[busy] != before[busy] && now[idle] != 0 && now[idle] != before[idle]
			})
			took := time.Since(stopped)
			got := <-slow
			t.Logf("noticed after %v, replaced after %v; the job: %q, %v", noticed, took, got.text, got.err)
			if took < 9*time.Second || noticed > 5*time.Second {
				t.Errorf("noticed after %v and replaced after %v, want at once and 10 s", noticed, took)
			}
			if got.err != nil || got.text != "2" {
				t.Errorf("the job in hand: %q, %v, want it done by another", got.text, got.err)
			}
			runs.wantRuns(t, 2, 2)
			killed := f.lines(func(l logLine) bool { return l.message() == "worker killed" && l.text("reason") == "unresponsive" })
			if ends := f.ends(); len(killed) != 2 || len(ends) != 2 {
				t.Errorf("want two lines each that say why and how they ended: %v, %v", killed, ends)
			}
			f.waitRegistered(map[string]int{"act": 3})
			f.wantEmpty()
			f.stopLife()
		})
	}
}

// waitBusy waits until a worker of a pool has a job, and returns its name.
func (f *lifeFleet) waitBusy(pool string) (name string) {
	f.tb.Helper()
	f.waitPool(pool, "a worker to be busy", func() bool {
		for _, w := range f.pool(pool).Workers {
			if len(w.Jobs) > 0 {
				name = w.Name
			}
		}
		return name != ""
	})
	f.tb.Logf("%s has the job", name)
	return name
}
