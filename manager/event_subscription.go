package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrEventsEnded is the error of a read when no event can come any more: the
// subscription was closed, or the manager has stopped.
var ErrEventsEnded = errors.New("there are no more events")

// Subscription is one reader's view of the events of a [Manager]. It has to be closed.
// One goroutine reads; Close may be called from any.
//
// Nobody waits for a reader. One that is slower than the events loses the oldest of
// those that it has not read, and is told with a [Lagged] in their place.
type Subscription struct {
	stream *stream
	after  uint64
	ready  chan struct{} // has one element when there may be something to read

	mu     sync.Mutex
	buffer ring
	missed int // events that fell out of the buffer, before all that are in it
	lost   Stamped
	ended  bool
}

// After is the number of the last event before the subscription: every later one is
// delivered or counted as missed.
func (s *Subscription) After() uint64 { return s.after }

// Next returns the next event. It blocks until there is one. The error is
// [ErrEventsEnded], after the events that were there before the end, or the cause of
// the end of ctx.
func (s *Subscription) Next(ctx context.Context) (Stamped, error) {
	for {
		if e, ok, ended := s.take(); ok {
			return e, nil
		} else if ended {
			return Stamped{}, ErrEventsEnded
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return Stamped{}, fmt.Errorf("wait for event: %w", context.Cause(ctx))
		}
	}
}

// Close ends the subscription and wakes its reader; what it has not read is thrown
// away. It does not block. Further calls do nothing.
func (s *Subscription) Close() {
	s.stream.drop(s)
	s.mu.Lock()
	s.buffer.clear()
	s.missed = 0
	s.mu.Unlock()
	s.end()
}

// take returns what is to be read next.
func (s *Subscription) take() (e Stamped, ok, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.missed > 0 {
		e = Stamped{Seq: s.lost.Seq, At: s.lost.At, Event: Lagged{Missed: s.missed}}
		s.missed = 0
		return e, true, false
	}
	e, ok = s.buffer.pop()
	return e, ok, s.ended
}

// give is called by the stream with each event, in order.
func (s *Subscription) give(e Stamped) {
	s.mu.Lock()
	if old, full := s.buffer.push(e); full {
		s.missed++
		s.lost = Stamped{Seq: old.Seq, At: old.At}
	}
	s.mu.Unlock()
	s.wake()
}

// end is called when there is nothing more.
func (s *Subscription) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.wake()
}

func (s *Subscription) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}
