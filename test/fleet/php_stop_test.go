package fleet

import (
	"syscall"
	"testing"
	"time"
)

// TestPHPStopIdle stops a fleet that has nothing to do.
func TestPHPStopIdle(t *testing.T) {
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = nap\ndedicated_count = 20\nverbose = 1\n")
			f.waitAll("nap", 20)
			f.signal(syscall.SIGTERM)
			took := f.waitExit()
			t.Logf("20 idle workers: gone after %v", took)
			if took > 2*time.Second {
				t.Errorf("idle workers took %v to leave, 0.2 s is wanted and ten times that allowed", took)
			}
			f.waitNoPHP()
		})
	}
}

// TestPHPStopBusy stops a fleet with a job in hand, which is finished.
func TestPHPStopBusy(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = nap\ndedicated_count = 2\n")
			f.waitAll("nap", 2)
			a := f.async("nap", "1000")
			f.waitRunning("nap", 1)
			f.signal(syscall.SIGTERM)
			f.waitExit()
			if r := <-a; r.err != nil {
				t.Errorf("the job in hand was not answered: %v", r.err)
			}
			f.waitNoPHP()
		})
	}
}
