package gearclient

// settings are what can change while a worker runs. They are replaced whole;
// a slot takes them over where that is safe.
type settings struct {
	servers   []string
	since     map[string]uint64 // number of the change with which each server was added last; never changed
	changes   uint64            // of the servers
	functions []string          // in the order in which they are sent: lowest priority first
	holds     []Hold            // of the first slots
	hold      Hold              // of all others
	rest      bool              // no slot takes jobs
	maxData   int64             // bytes of a workload or result
}

// setServers replaces the servers.
func (s *settings) setServers(servers []string) {
	s.changes++
	since := make(map[string]uint64, len(servers))
	for _, server := range servers {
		since[server] = s.changes
		if before, stays := s.since[server]; stays {
			since[server] = before
		}
	}
	s.servers, s.since = servers, since
}

// holdOf is the hold of a slot.
func (s *settings) holdOf(slot int) Hold {
	if slot < len(s.holds) {
		return s.holds[slot]
	}
	return s.hold
}

// setHold sets the hold of the first so many slots, or of all if slots is 0.
func (s *settings) setHold(hold Hold, slots int) {
	if slots <= 0 {
		s.hold, s.holds = hold, nil
		return
	}
	holds := make([]Hold, max(slots, len(s.holds)))
	for n := range holds {
		if holds[n] = hold; n >= slots {
			holds[n] = s.holdOf(n)
		}
	}
	s.holds = holds
}

// spread gives the slots that come later the hold of the first so many, if those have
// one and the same.
func (s *settings) spread(slots int) {
	if slots <= 0 {
		return
	}
	hold := s.holdOf(0)
	for n := range slots {
		if s.holdOf(n) != hold {
			return
		}
	}
	s.hold, s.holds = hold, nil
}
