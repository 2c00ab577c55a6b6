package manager

import (
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// Nothing has to happen in an idle pool for the others to follow the first: that it has
// lived for long enough is the last that happens.
func TestRollOfAnIdlePoolGoesOn(t *testing.T) {
	t.Parallel()
	plan := onePlan(4)
	plan.MaxLifetime, plan.StartSeconds = 0, 5*time.Second
	registered := func(w *fakeWorker) error {
		e := readyEvent()
		e.GetReady().Registered = w.request.GetHold() == workerpb.Hold_HOLD_NONE
		w.events <- e
		return nil
	}
	runPool(t, plan, registered, func(f *fakeFleet) {
		pass(10 * time.Second)
		f.change(func(p *PoolPlan) { p.Hash = "new" }, true)
		pass(40 * time.Second) // the next ping is later
		if s := f.status(); s.Outdated != 0 || s.Hash != "new" {
			t.Errorf("%d workers are outdated: %q %+v", s.Outdated, f.said(), s.Workers)
		}
	})
}
