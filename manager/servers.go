package manager

import (
	"sync"
	"time"
)

// reminderEvery is how often a job server that no worker reaches is spoken of.
const reminderEvery = time.Minute

// servers knows which job servers the fleet is connected to, over all pools, so
// that a server which is gone is said once and not by each slot. Its methods may
// be called from any goroutine. There is a timer only while a server is lost.
type servers struct {
	emit func(Event)

	mu     sync.Mutex
	known  map[string]*serverState
	order  []string    // all that there ever were, by their numbers in job records
	timer  *time.Timer // nil: none runs
	closed bool
}

type serverState struct {
	number    int
	wanted    bool      // the fleet is to be connected to it
	connected int       // slots
	lost      time.Time // since when no slot is connected; zero: some are, or none has tried
	err       string
}

func newServers(emit func(Event)) *servers {
	return &servers{emit: emit, known: map[string]*serverState{}}
}

// want says which servers the fleet is to be connected to, and numbers them. Those that it
// is to leave are not spoken of any more.
func (s *servers) want(addresses []string) []jobServer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.known {
		state.wanted = false
	}
	var numbered []jobServer
	for _, a := range addresses {
		state := s.known[a]
		if state == nil {
			state = &serverState{number: len(s.order)}
			s.known[a] = state
			s.order = append(s.order, a)
		}
		state.wanted = true
		numbered = append(numbered, jobServer{address: a, number: state.number})
	}
	for _, state := range s.known {
		if !state.wanted {
			state.lost, state.err = time.Time{}, ""
		}
	}
	return numbered
}

// address is the server of a number.
func (s *servers) address(number int) (address string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < 0 || number >= len(s.order) {
		return "", false
	}
	return s.order[number], true
}

// connect notes that a slot is registered with a server.
func (s *servers) connect(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.known[address]
	if state == nil || s.closed {
		return
	}
	state.connected++
	if !state.lost.IsZero() {
		s.emit(ServerReached{Server: address, After: time.Since(state.lost)})
		state.lost, state.err = time.Time{}, ""
	}
}

// lose notes that a slot lost a server or could not reach it; wasConnected tells
// which.
func (s *servers) lose(address, cause string, wasConnected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.known[address]
	if state == nil || s.closed {
		return
	}
	if wasConnected {
		state.connected--
	}
	if state.connected > 0 || !state.wanted {
		return
	}
	state.err = cause
	if !state.lost.IsZero() {
		return
	}
	state.lost = time.Now()
	s.emit(ServerLost{Server: address, Err: cause})
	if s.timer == nil {
		s.timer = time.AfterFunc(reminderEvery, s.remind)
	}
}

// leave notes that a slot left a server because its worker ended, which says
// nothing about the server.
func (s *servers) leave(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := s.known[address]; state != nil {
		state.connected--
	}
}

func (s *servers) remind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = nil
	if s.closed {
		return
	}
	for address, state := range s.known {
		if state.lost.IsZero() {
			continue
		}
		s.emit(ServerStillLost{Server: address, Err: state.err, Since: time.Since(state.lost)})
		if s.timer == nil {
			s.timer = time.AfterFunc(reminderEvery, s.remind)
		}
	}
}

// close ends the reminders. While a fleet stops, a server that its workers leave
// is not lost.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// status is the state of each server, for a snapshot.
func (s *servers) status(addresses []string) []ServerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ServerStatus, 0, len(addresses))
	for _, a := range addresses {
		state := s.known[a]
		if state == nil {
			state = &serverState{}
		}
		out = append(out, ServerStatus{Address: a, Slots: state.connected, Lost: state.lost, Err: state.err})
	}
	return out
}
