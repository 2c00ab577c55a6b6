package manager

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// killWait is how long killed processes may take to be gone. Only one that the
	// kernel cannot end takes longer.
	killWait = 5 * time.Second
	// stopSlack is what Run allows beyond the longest grace.
	stopSlack = 15 * time.Second
)

// StopError says why a Stop did not wait for the end.
type StopError struct {
	Err error // a *supervisor.StopError names what is left
}

// Error gives the cause.
func (e *StopError) Error() string { return fmt.Sprintf("stop manager: %v", e.Err) }

// Unwrap returns the cause.
func (e *StopError) Unwrap() error { return e.Err }

// Run starts the fleet, waits for the end of ctx and stops the fleet gracefully,
// for which the longest grace of its functions bounds the time. It returns what
// Start or Stop returned.
func (m *Manager) Run(ctx context.Context) error {
	err := m.Start(ctx)
	if err == nil {
		<-ctx.Done()
	} else if ctx.Err() != nil {
		err = nil // told to stop while it was starting, and that is what it does
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.longestGrace()+stopSlack)
	defer cancel()
	return errors.Join(err, m.Stop(ctx))
}

// Stop stops the fleet: idle workers leave at once, busy ones finish their jobs
// within their grace. It blocks until nothing is left and the runtime directory is
// removed. When ctx ends, or Hurry says so, what is left is killed. It may be
// called before Start, and again: it then waits for the same end. The error is a
// *StopError.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	first := false
	select {
	case <-m.stopping:
	default:
		first = true
		close(m.stopping)
	}
	m.mu.Unlock()
	if first {
		m.stopErr = m.stop(ctx)
		m.events.end()
		close(m.stopped)
		return m.stopErr
	}
	select {
	case <-m.stopped:
		return m.stopErr
	case <-ctx.Done():
		return &StopError{Err: context.Cause(ctx)}
	}
}

func (m *Manager) stop(ctx context.Context) error {
	begun := time.Now()
	m.reach.close()
	m.reloads.close()
	ran := m.now().plan != nil
	m.stopPools(ctx, ran)
	ended := m.waitPools(ctx)
	if m.cancel != nil {
		m.cancel()
	}
	err := errors.Join(m.php.close(), m.stopProcesses(ctx))
	if ended || err == nil {
		m.background.Wait()
		closeRecords(m.running())
	}
	m.close()
	if err != nil {
		return &StopError{Err: err}
	}
	if ran {
		m.emit(FleetStopped{Took: time.Since(begun)})
	}
	return nil
}

// stopPools has all workers leave, which is told if a fleet ran.
func (m *Manager) stopPools(ctx context.Context, ran bool) {
	s := FleetStopping{}
	work := context.WithoutCancel(ctx)
	for _, p := range m.running() {
		n, _ := ask(p, func() int {
			p.stop(work)
			return len(p.workers())
		})
		s.Workers += n
	}
	if ran {
		m.emit(s)
	}
}

// waitPools waits until no pool has a worker. When ctx ends before, all are killed
// and waited for a little longer. It tells whether all have ended.
func (m *Manager) waitPools(ctx context.Context) bool {
	for _, p := range m.running() {
		select {
		case <-p.done:
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		return true
	}
	m.hurry(killNow)
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	for _, p := range m.running() {
		select {
		case <-p.done:
		case <-timer.C:
			return false
		}
	}
	return true
}

// stopProcesses ends the supervisor. Usually it has no process left.
func (m *Manager) stopProcesses(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killWait)
	defer cancel()
	return m.sup.Stop(ctx)
}

// killNow is how often a manager has to be told to hurry for it to wait no more.
const killNow = 4

// Hurry shortens what Stop allows for: the first call leaves running jobs one
// second, the fourth and any further one nothing. Before Stop it does nothing. It
// does not block.
func (m *Manager) Hurry() {
	select {
	case <-m.stopping:
	default:
		return
	}
	m.mu.Lock()
	m.hurried++
	level := m.hurried
	m.mu.Unlock()
	m.hurry(level)
}

func (m *Manager) hurry(level int) {
	pools := m.running()
	workers := 0
	for _, p := range pools {
		n, _ := ask(p, func() int {
			p.hurryUp(level)
			return len(p.workers())
		})
		workers += n
	}
	if m.now().plan != nil {
		m.emit(FleetStopping{Workers: workers, Hurry: level})
	}
}

func (m *Manager) longestGrace() (longest time.Duration) {
	for _, p := range m.running() {
		longest = max(longest, p.longestGrace())
	}
	return longest
}

// closeRecords unmaps the records of pools that do not run any more. Their files go with
// the runtime directory.
func closeRecords(pools []*pool) {
	for _, p := range pools {
		p.closeRecords()
	}
}
