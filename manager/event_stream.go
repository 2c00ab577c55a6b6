package manager

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// pastEvents is how many events a stream remembers. With the last lines of those
// that died they are a few megabytes at the most.
const pastEvents = 1000

// Stamped is an event with its place in the stream.
type Stamped struct {
	// Seq counts all events of a manager, from 1. There is a gap where events
	// were missed or, in what Since returns, are not remembered.
	Seq   uint64
	At    time.Time
	Event Event
}

// stream hands each event to everything that reads them: the log, one function, and
// any number of subscribers, none of whom it waits for. It remembers the last events of
// the fleet's life. Its methods may be called from any goroutine.
//
//	                       ┌─► log
//	emit ─► number, time ──┼─► onEvent
//	                       ├─► subscribers, each with a buffer of its own
//	                       └─► ring of past events ─► since
//
// Subscribers have events in the order of their numbers. The log and onEvent are called
// by whoever emits: events of one goroutine reach them in order.
type stream struct {
	log     zerolog.Logger
	onEvent func(Event) // may be nil
	levels  levels

	mu        sync.Mutex
	seq       uint64 // of the last event
	past      ring
	forgotten uint64 // number of the last event that fell out of past
	said      saidLines
	readers   map[*Subscription]struct{}
	ended     bool
}

// newStream makes a stream that remembers so many events.
func newStream(log zerolog.Logger, onEvent func(Event), remember int) *stream {
	return &stream{log: log, onEvent: onEvent, past: ring{most: remember}, said: saidLines{}, readers: map[*Subscription]struct{}{}}
}

// emit tells of an event. It blocks for no subscriber, and for the log and onEvent as
// long as they do.
func (s *stream) emit(e Event) {
	s.publish(e)
	e.log(s.levels.logger(s.log, e))
	if s.onEvent != nil {
		s.onEvent(e)
	}
}

// publish numbers an event and gives it to the subscribers.
func (s *stream) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	stamped := Stamped{Seq: s.seq, At: time.Now(), Event: e}
	if remembered(e) {
		if old, full := s.past.push(stamped); full {
			s.forgotten = old.Seq
		}
	}
	if said, ok := e.(WorkerLogged); ok {
		s.said.add(stamped, said)
	}
	for r := range s.readers {
		r.give(stamped)
	}
}

// remembered tells whether an event is one of the fleet's life. What programs print is
// too much to be kept.
func remembered(e Event) bool {
	switch e.(type) {
	case WorkerPrinted, WorkerLogged, PHPPrinted:
		return false
	default:
		return true
	}
}

// since returns the remembered events after a number, 0 for all, oldest first; whole is
// false if some after it are forgotten.
func (s *stream) since(seq uint64) (past []Stamped, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.past.after(seq), seq >= s.forgotten
}

// subscribe returns the events from now on. Of a stream that has ended there are none.
func (s *stream) subscribe(buffer int) *Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Subscription{stream: s, after: s.seq, ready: make(chan struct{}, 1), buffer: ring{most: max(buffer, 1)}, ended: s.ended}
	if !s.ended {
		s.readers[r] = struct{}{}
	}
	return r
}

// end ends the stream for its subscribers, once they have read what they have. What is
// emitted later is logged and remembered only.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for r := range s.readers {
		r.end()
	}
	clear(s.readers)
}

// drop forgets a subscriber.
func (s *stream) drop(r *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readers, r)
}

// Subscribe returns all events from now on. So many are kept for the reader while it is
// busy, at least 1; see [Subscription] for what becomes of more. It ends when the
// manager has stopped. It does not block, and may be called at any time.
func (m *Manager) Subscribe(buffer int) *Subscription { return m.events.subscribe(buffer) }

// PastEvents returns what is remembered of the events after a number, 0 for all,
// oldest first: the last 1,000, without what programs print and log. whole is false if
// some after that number are forgotten. A reader that wants the past and what follows
// subscribes first, and then takes of the past what is not after [Subscription.After].
// It does not block, and works after the manager has stopped too.
func (m *Manager) PastEvents(seq uint64) (past []Stamped, whole bool) { return m.events.since(seq) }
