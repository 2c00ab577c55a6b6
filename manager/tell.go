package manager

import (
	"context"
	"sync"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// tell tells all workers that perform a function of suspect jobs, in whatever pool
// they are, and returns when all know. One that does not answer is killed. Workers
// that are just being started learn it from their run request.
func (m *Manager) tell(ctx context.Context, function string, s *workerpb.Suspects, except process) {
	pools := m.running()
	tellPools(ctx, pools, function, s, except)
}

func tellPools(ctx context.Context, pools []*pool, function string, s *workerpb.Suspects, except process) {
	var calls sync.WaitGroup
	for _, p := range pools {
		if !p.performs(function) {
			continue
		}
		procs, _ := ask(p, func() []process { return p.audience(except) }) // nobody, if it has ended
		for _, proc := range procs {
			calls.Go(func() { p.callSuspect(ctx, proc, s) })
		}
	}
	calls.Wait()
}
