package supervisor

// begin notes that a start is in progress.
func (s *Supervisor) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return ErrStopped
	}
	s.starts++
	s.start = s.starts
	return nil
}

// settle ends the start in progress; p is nil if it did not succeed. It tells
// whether the supervisor is being stopped.
func (s *Supervisor) settle(p *Process) (stopping bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil {
		s.procs[p.pid] = p
	}
	s.start = 0
	if s.unplaced {
		s.unplaced = false
		select {
		case s.reaper.settled <- struct{}{}:
		default:
		}
	}
	return s.stopping
}

// claim hands the process with that number to the reaper, which collects it. If
// there is none, it returns the number of the start in progress, at whose end the
// reaper is woken, or 0.
func (s *Supervisor) claim(pid int) (*Process, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.procs[pid]; ok {
		delete(s.procs, pid) // before the number is free for another
		return p, 0
	}
	s.unplaced = s.start != 0
	return nil, s.start
}
