package manager

import (
	"errors"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// CheckLimits returns a warning for each limit of the plan that this process may not set for its workers, once for each value of the
// config. It is no error, since the manager may run as another user than whoever checks its config.
func CheckLimits(cfg *config.Config, plan *Plan) []config.Problem {
	p := &planner{cfg: cfg}
	for _, pool := range plan.Pools {
		f := cfg.Defaults()
		if !pool.Shared {
			f = cfg.Function(pool.Functions[0].Name)
		}
		for _, refused := range refusedLimits(pool.Limits.Check()) {
			p.noteOnce(f.Origin(limitKey(f, refused.Limit)), refused.Error())
		}
	}
	return p.problems
}

// refusedLimits takes apart what [supervisor.Limits.Check] has joined.
func refusedLimits(err error) (all []*supervisor.LimitError) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, e := range joined.Unwrap() {
		if refused, ok := errors.AsType[*supervisor.LimitError](e); ok {
			all = append(all, refused)
		}
	}
	return all
}

// limitKey names the key that a limit comes from.
func limitKey(f config.Function, limit string) string {
	switch {
	case limit == "nice":
		return "nice"
	case limit == "data" && f.RlimitData() == 0:
		return "max_memory_hard"
	default:
		return "rlimit_" + limit
	}
}
