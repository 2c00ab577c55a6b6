package supervisor

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
)

// Stop kills every group that is still alive and waits until the leaders have
// been collected. Then it stops to wait for children, and nothing can be started
// any more. If ctx ends first, the error is a *StopError that names what is left,
// which is still waited for; Stop may then be called again. A stopped supervisor
// is no error.
//
// No child is expected any more: one that comes is killed by [Expected.Adopt].
// Descendants that left their group are not killed.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.reg.stopping = true // whatever a start in progress brings is killed by the starter
	s.reg.pending.dropExpected()
	s.wake()
	s.mu.Unlock()
	s.starter.stop()
	left := s.killAll(ctx)
	select {
	case <-s.starterDone:
	case <-ctx.Done():
		left = append(left, "a start in progress")
	}
	left = append(left, s.killAll(ctx)...) // what that start brought
	if len(left) > 0 {
		return &StopError{Left: left, Err: context.Cause(ctx)}
	}
	s.release.Do(s.close)
	<-s.reaperDone
	return nil
}

// killAll kills what lives, waits for it and returns the names of what stayed.
func (s *Supervisor) killAll(ctx context.Context) (left []string) {
	procs := s.Processes()
	for _, p := range procs {
		_ = p.Kill() // a process that cannot be killed is one that stays
	}
	for _, p := range procs {
		select {
		case <-p.Done():
			continue
		default:
		}
		select {
		case <-p.Done():
		case <-ctx.Done():
			left = append(left, fmt.Sprintf("%s (pid %d)", p.Name(), p.PID()))
		}
	}
	return left
}

// close ends the reaper and gives back what New took.
func (s *Supervisor) close() {
	close(s.reaper.quit)
	<-s.reaperDone
	signal.Stop(s.reaper.sigchld)
	s.absorb.stop()
	_ = setSubreaper(s.cfg.Subreaper, false)
	_ = s.null.Close()
	running.Store(false)
}

// StopError names what did not end before the context of a Stop did.
type StopError struct {
	Left []string // "name (pid 1234)"
	Err  error    // why Stop did not wait any longer
}

// Error lists the names.
func (e *StopError) Error() string {
	return fmt.Sprintf("stop processes: %s did not end: %v", strings.Join(e.Left, ", "), e.Err)
}

// Unwrap returns why Stop did not wait any longer.
func (e *StopError) Unwrap() error { return e.Err }
