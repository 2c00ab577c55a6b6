package supervisor

import (
	"maps"

	"golang.org/x/sys/unix"
)

// registry holds what is alive, and what is on its way. It is guarded by the
// supervisor's lock.
type registry struct {
	procs    map[int]*Process // started or adopted, and not collected yet, by PID
	starts   uint64           // number of the last start that has begun
	pending  pending
	unplaced bool // the reaper waits for the end of a start
	stopping bool

	strangers bool       // a child that was not known has been stopped or continued while starts were in progress
	recheck   []*Process // whose state is not known, because that may have been they
}

// pending are the starts that are not over, by number. To wait for an expected
// child is a start too, which has its Expected here; that of others is nil.
type pending map[uint64]*Expected

func (p pending) drop(number uint64) { delete(p, number) }

// dropExpected ends the waiting for children that others start.
func (p pending) dropExpected() {
	maps.DeleteFunc(p, func(_ uint64, e *Expected) bool { return e != nil })
}

// begin notes that a start is in progress, and gives it a number. expected is nil
// if the starter does it.
func (s *Supervisor) begin(expected *Expected) (number uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reg.stopping {
		return 0, ErrStopped
	}
	s.reg.starts++
	s.reg.pending[s.reg.starts] = expected
	return s.reg.starts, nil
}

// settle ends a start; p is nil if it did not succeed. It tells whether the
// supervisor is being stopped.
func (s *Supervisor) settle(number uint64, p *Process) (stopping bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil {
		s.reg.add(p, s.reg.strangers)
	}
	s.reg.pending.drop(number)
	s.wake()
	return s.reg.stopping
}

// add makes a process known. recheck says that it may have been stopped by now.
func (r *registry) add(p *Process, recheck bool) {
	r.procs[p.pid] = p
	if recheck {
		r.recheck = append(r.recheck, p)
	}
}

// wake has the reaper look again, after the end of a start, at a child that it
// could not place, and at the state of what that start brought. The lock is held.
func (s *Supervisor) wake() {
	s.reg.strangers = s.reg.strangers && len(s.reg.pending) > 0
	if !s.reg.unplaced && len(s.reg.recheck) == 0 {
		return
	}
	s.reg.unplaced = false
	select {
	case s.reaper.settled <- struct{}{}:
	default:
	}
}

// claim hands a process that has ended to the reaper, which collects it. Without
// one of that number it tells whether the child may belong to a start that is not
// over, at whose end the reaper is then woken. Starts after number upTo, which are
// younger than the child, do not count; if that is 0, all do, and last is what upTo
// has to be for this child from then on.
func (s *Supervisor) claim(pid int, upTo uint64) (p *Process, mayBeStart bool, last uint64) {
	s.mu.Lock() // once for both: a start may be over at any moment
	defer s.mu.Unlock()
	// Asked again: fork may have collected the child of a start that failed, and
	// its number may be in use again.
	if p := s.reg.procs[pid]; p != nil && peek(unix.P_PID, pid) == pid {
		delete(s.reg.procs, pid) // before the number is free for another
		return p, false, 0
	}
	if upTo == 0 {
		upTo = s.reg.starts
	}
	s.reg.unplaced = s.reg.begunBy(upTo)
	return nil, s.reg.unplaced, upTo
}

// begunBy tells whether a start up to that number is not over.
func (r *registry) begunBy(number uint64) bool {
	for n := range r.pending {
		if n <= number {
			return true
		}
	}
	return false
}
