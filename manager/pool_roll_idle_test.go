package manager

import (
	"testing"
	"time"
)

// Nothing has to happen in an idle pool for the others to follow the first.
func TestRollOfAnIdlePoolGoesOn(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(4), nil, func(f *fakeFleet) {
		pass(10 * time.Second)
		f.change(func(p *PoolPlan) { p.Hash = "new" }, true)
		pass(20 * time.Second) // the next ping is later
		if s := f.status(); s.Outdated != 0 || s.Hash != "new" {
			t.Errorf("%d workers are outdated: %+v", s.Outdated, s.Workers)
		}
	})
}
