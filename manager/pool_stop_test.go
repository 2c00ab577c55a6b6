package manager

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
)

// stopAndWait stops a pool and returns how long that took.
func stopAndWait(f *fakeFleet, hurry func(waited time.Duration) int) time.Duration {
	begun := time.Now()
	ask(f.pool, func() bool { f.pool.stop(f.t.Context()); return true })
	for {
		synctest.Wait()
		select {
		case <-f.pool.done:
			return time.Since(begun)
		default:
		}
		if hurry != nil {
			if level := hurry(time.Since(begun)); level > 0 {
				ask(f.pool, func() bool { f.pool.hurryUp(level); return true })
			}
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestStopIdle(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(50), nil, func(f *fakeFleet) {
		if took := stopAndWait(f, nil); took != 0 {
			t.Errorf("took %v", took)
		}
		for _, e := range seen[WorkerExited](f) {
			if e.Retired != "stop" || e.Killed != "" {
				t.Errorf("exit %+v", e)
			}
		}
	})
}

func TestStopBusy(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.stayBusy()
		w.begin("H:a:1")
		synctest.Wait()
		time.AfterFunc(3*time.Second, func() {
			w.finish()
			w.leave()
		})
		if took := stopAndWait(f, nil); took != 3*time.Second {
			t.Errorf("took %v, want the 3 s of the job", took)
		}
		if n := len(seen[WorkerKilled](f)); n != 0 {
			t.Errorf("%d kills", n)
		}
	})
}

func TestStopGrace(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.stayBusy()
		w.begin("H:a:1")
		synctest.Wait()
		if took := stopAndWait(f, nil); took != time.Minute {
			t.Errorf("took %v, want the grace of a minute", took)
		}
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Reason != string(killGrace) {
			t.Errorf("kills %+v", kills)
		}
		if n := len(seen[JobSuspected](f)); n != 0 {
			t.Errorf("%d jobs charged with our own kill", n)
		}
	})
}

// TestStopShortGrace: also a grace counts that is shorter than what an idle worker may
// take to leave.
func TestStopShortGrace(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{0, time.Second, 4 * time.Second} {
		t.Run(grace.String(), func(t *testing.T) {
			t.Parallel()
			plan := onePlan(2)
			plan.Functions[0].Grace = grace
			runPool(t, plan, nil, func(f *fakeFleet) {
				w := f.worker("resize/1")
				w.stayBusy()
				w.begin("H:a:1")
				synctest.Wait()
				if took := stopAndWait(f, nil); took != grace {
					t.Errorf("took %v, want %v", took, grace)
				}
			})
		})
	}
}

func TestStopHurry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		levels map[time.Duration]int
		want   time.Duration
	}{
		"twice":      {map[time.Duration]int{2 * time.Second: 1}, 3 * time.Second},
		"five times": {map[time.Duration]int{2 * time.Second: 1, 2500 * time.Millisecond: 4}, 2500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runPool(t, onePlan(2), nil, func(f *fakeFleet) {
				w := f.worker("resize/1")
				w.stayBusy()
				w.begin("H:a:1")
				synctest.Wait()
				took := stopAndWait(f, func(waited time.Duration) int { return c.levels[waited] })
				if took < c.want || took > c.want+50*time.Millisecond { // as fine as stopAndWait looks
					t.Errorf("took %v, want %v", took, c.want)
				}
			})
		})
	}
}

func TestStopUnresponsive(t *testing.T) {
	t.Parallel()
	prepare := func(w *fakeWorker) error {
		w.deaf = true
		return nil
	}
	runPool(t, onePlan(2), prepare, func(f *fakeFleet) {
		if took := stopAndWait(f, nil); took != idleGrace {
			t.Errorf("took %v, want %v", took, idleGrace)
		}
	})
}

func TestStopInBackoff(t *testing.T) {
	t.Parallel()
	prepare := func(*fakeWorker) error { return errors.New("no interpreter") }
	runPool(t, onePlan(2), prepare, func(f *fakeFleet) {
		pass(10 * time.Second)
		if took := stopAndWait(f, nil); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// TestStopBeforeHello: a worker may have a job before its hello is heard. It is
// not killed then.
func TestStopBeforeHello(t *testing.T) {
	t.Parallel()
	runSlowPool(t, onePlan(1), func(f *fakeFleet) {
		w := f.worker("resize/1")
		f.record(w, 0).Begin(jobrecord.Job{Handle: "H:a:1"}, f.clock(), 0)
		time.AfterFunc(3*helloGrace, func() {
			f.record(w, 0).End(f.clock(), false, 0)
			close(f.hello)
		})
		if took := stopAndWait(f, nil); took < 3*helloGrace || took > 4*helloGrace {
			t.Errorf("took %v", took)
		}
		if exits := seen[WorkerExited](f); len(exits) != 1 || exits[0].Retired != "stop" || exits[0].Done != 1 {
			t.Errorf("exits %+v", exits)
		}
	})
}

func TestStopWithoutHello(t *testing.T) {
	t.Parallel()
	runSlowPool(t, onePlan(3), func(f *fakeFleet) {
		if took := stopAndWait(f, nil); took < helloGrace || took > 2*helloGrace {
			t.Errorf("took %v", took)
		}
	})
}
