package fleet

import (
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// TestBadJobsAmongGoodOnes has jobs that kill their workers beside 1,000 that do not:
// those are all answered, the bad ones get their exceptions after their attempts, and
// every death is explained once.
func TestBadJobsAmongGoodOnes(t *testing.T) {
	t.Parallel()
	for _, k := range lifeKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newLife(t, k.name)
			f.startKind(k, "max_memory_hard = 300M\n", "dedicated_count = 4\n", "-v")
			f.waitRegistered(map[string]int{"act": 4})
			started, wait := f.goodJobs(1000, 50)
			testutil.Receive(t, "a tenth of the good jobs", started)
			var bad sync.WaitGroup
			for _, word := range k.deadly {
				bad.Go(func() {
					text, took, err := f.act(word, f.newNotes(word))
					f.wantException(word, text, err)
					t.Logf("%s: %v: %v", word, took.Round(time.Millisecond), err)
				})
			}
			bad.Wait()
			wait()
			f.waitRegistered(map[string]int{"act": 4})
			f.wantEmpty()
			f.wantExplained(k)
			if n := len(f.quarantined()); n != len(k.deadly) {
				t.Errorf("%d jobs in quarantine, want %d:\n%s", n, len(k.deadly), f.ask("quarantine"))
			}
			f.stopLife()
		})
	}
}

// wantExplained looks that each run of a bad job ended its process and has a line of
// the log, and that no other process ended so.
func (f *lifeFleet) wantExplained(k lifeKind) {
	f.tb.Helper()
	if k.name == "exec" { // the executable is not the worker, which lives on
		f.wantSuspected(k)
		return
	}
	said := map[int]int{}
	for _, l := range f.ends() {
		said[l.number("pid")]++
		if l.text("exit") == "" || len(l.texts("jobs_in_hand")) != 1 {
			f.tb.Errorf("the log does not say how it ended, or with what: %v", l)
		}
	}
	deaths := 0
	for _, word := range k.deadly {
		for _, r := range f.newNotes(word).wantRuns(f.tb, 3, 4) {
			deaths++
			if n := said[r.pid]; n != 1 {
				f.tb.Errorf("%s: %d lines explain the end of %d, want 1", word, n, r.pid)
			}
		}
	}
	if len(said) != deaths {
		f.tb.Errorf("%d processes are said to have ended, want the %d that bad jobs killed: %v", len(said), deaths, said)
	}
}

// wantSuspected looks that each run of an executable that died has a line of the log,
// and that no worker died with it.
func (f *lifeFleet) wantSuspected(k lifeKind) {
	f.tb.Helper()
	if ends := f.ends(); len(ends) != 0 {
		f.tb.Errorf("workers ended beside their executables: %v", ends)
	}
	runs := 0
	for _, word := range k.deadly {
		runs += len(f.newNotes(word).wantRuns(f.tb, 3, 4))
	}
	if n := len(f.said("job is suspect")) + len(f.said("job is not run again")); n != runs {
		f.tb.Errorf("%d lines tell of executables that died, want %d", n, runs)
	}
}
