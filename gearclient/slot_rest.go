package gearclient

import "slices"

// rests reports whether the slot is to take no jobs although its hold would let
// it.
func (s *slot) rests() bool { return s.known.rest || s.declined }

// hold is how far the slot may go now.
func (s *slot) hold() Hold {
	if hold := s.known.holdOf(s.number); hold != HoldNone || !s.rests() {
		return hold
	}
	return HoldRegistered
}

// reconsider ends a rest that Reserve began once it may decide otherwise.
func (s *slot) reconsider() {
	if s.declined && s.worker.round.Load() != s.round {
		s.declined = false
	}
	if !s.rests() {
		s.rested = false
	}
}

// settle is called when there is nothing to do. A slot that is held back needs no
// reservation; one that rests says so.
func (s *slot) settle() {
	if s.hold() == HoldNone || slices.ContainsFunc(s.links, (*link).active) {
		return
	}
	s.giveBack(0)
	if s.rests() && !s.rested {
		s.rested = true
		s.worker.cfg.Events.Rested(s.number)
	}
}

// active reports whether a job may come over the link.
func (l *link) active() bool { return l.asked || l.slept || l.state == linkAwake }
