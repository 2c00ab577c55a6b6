package manager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// quietStream is one without a log.
func quietStream(remember int) *stream { return newStream(zerolog.Nop(), nil, remember) }

// next reads an event that has to be there soon.
func next(t *testing.T, s *Subscription) Stamped {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestEmit: an event reaches the log, the function, the memory and each subscriber.
func TestEmit(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var given []Event
	s := newStream(zerolog.New(&out), func(e Event) { given = append(given, e) }, 10)
	a := s.subscribe(5)
	defer a.Close()
	b := s.subscribe(5)
	defer b.Close()
	before := time.Now()
	s.emit(WorkerReady{Worker: "wc/1"})
	if !bytes.Contains(out.Bytes(), []byte("worker ready")) || len(given) != 1 {
		t.Errorf("logged %q, given %v", &out, given)
	}
	for _, r := range []*Subscription{a, b} {
		e := next(t, r)
		if e.Seq != 1 || e.At.Before(before) || e.Event.Name() != "worker_ready" || r.After() != 0 {
			t.Errorf("got %+v after %d", e, r.After())
		}
	}
	if past, whole := s.since(0); len(past) != 1 || !whole {
		t.Errorf("remembers %v, %v", past, whole)
	}
	if late := s.subscribe(1); late.After() != 1 {
		t.Errorf("a late one begins after %d", late.After())
	}
}

// TestSlowReader: one that does not read loses the oldest events, and learns how many
// at the place where they were.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	s := quietStream(10)
	r := s.subscribe(3)
	defer r.Close()
	for range 8 {
		s.emit(WorkerReady{})
	}
	if e := next(t, r); e.Event != (Lagged{Missed: 5}) || e.Seq != 5 || e.At.IsZero() {
		t.Errorf("first %+v, want that 5 are missed", e)
	}
	s.emit(WorkerReady{}) // pushes out the 6th
	if e := next(t, r); e.Event != (Lagged{Missed: 1}) || e.Seq != 6 {
		t.Errorf("then %+v, want that 1 is missed", e)
	}
	for want := uint64(7); want <= 9; want++ {
		if e := next(t, r); e.Seq != want {
			t.Errorf("got %+v, want the event %d", e, want)
		}
	}
}

// TestSince: what programs print pushes nothing out, and who asks for what is
// forgotten is told.
func TestSince(t *testing.T) {
	t.Parallel()
	s := quietStream(3)
	for range 5 {
		s.emit(WorkerReady{})   // 1, 3, …, 9
		s.emit(WorkerPrinted{}) // 2, 4, …, 10
	}
	for after, want := range map[uint64]struct {
		seq   []uint64
		whole bool
	}{
		0: {[]uint64{5, 7, 9}, false},
		2: {[]uint64{5, 7, 9}, false},
		3: {[]uint64{5, 7, 9}, true},
		7: {[]uint64{9}, true},
		9: {[]uint64{}, true},
	} {
		if past, whole := s.since(after); !slices.Equal(numbers(past), want.seq) || whole != want.whole {
			t.Errorf("since %d: %v, whole: %v; want %v, %v", after, numbers(past), whole, want.seq, want.whole)
		}
	}
}

// TestSubscriptionEnds: a reader that waits is woken by each kind of end.
func TestSubscriptionEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*stream, *Subscription, context.CancelCauseFunc){
		"closed": func(_ *stream, r *Subscription, _ context.CancelCauseFunc) { r.Close() },
		"ended":  func(s *stream, _ *Subscription, _ context.CancelCauseFunc) { s.end() },
		"given up": func(_ *stream, _ *Subscription, cancel context.CancelCauseFunc) {
			cancel(ErrEventsEnded)
		},
	} {
		s := quietStream(1)
		r := s.subscribe(1)
		ctx, cancel := context.WithCancelCause(t.Context())
		got := make(chan error)
		go func() {
			_, err := r.Next(ctx)
			got <- err
		}()
		end(s, r, cancel)
		select {
		case err := <-got:
			if !errors.Is(err, ErrEventsEnded) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it still waits", name)
		}
		cancel(nil)
		r.Close()
		r.Close()
		if len(s.readers) != 0 {
			t.Errorf("%s: it is still given events", name)
		}
	}
}

// TestRestIsRead: the end of the stream comes after what was there, that of the
// subscription at once.
func TestRestIsRead(t *testing.T) {
	t.Parallel()
	s := quietStream(1)
	reads, closes := s.subscribe(1), s.subscribe(1)
	defer reads.Close()
	s.emit(FleetStopping{})
	s.emit(FleetStopped{})
	s.end()
	closes.Close()
	if e := next(t, reads); e.Event != (Lagged{Missed: 1}) {
		t.Errorf("got %+v", e)
	}
	if e := next(t, reads); e.Event != (FleetStopped{}) {
		t.Errorf("got %+v", e)
	}
	for _, r := range []*Subscription{reads, closes, s.subscribe(1)} {
		if e, err := r.Next(t.Context()); !errors.Is(err, ErrEventsEnded) {
			t.Errorf("got %+v, %v after the end", e, err)
		}
	}
	s.emit(FleetStopped{}) // is nothing bad
}

// TestManyReaders: while many emit and readers come and go, each reader sees every
// number in order, or is told that it missed it.
func TestManyReaders(t *testing.T) {
	t.Parallel()
	const emitters, each = 4, 500
	s := quietStream(20)
	var emitting, reading sync.WaitGroup
	for reader := range 6 {
		r := s.subscribe(1 + reader*reader*20)
		reading.Go(func() {
			defer r.Close()
			if err := account(t.Context(), r); err != nil {
				t.Errorf("reader %d: %v", reader, err)
			}
		})
	}
	for range 3 { // these leave in the middle
		r := s.subscribe(10)
		reading.Go(func() {
			_, _ = r.Next(t.Context())
			r.Close()
		})
	}
	for range emitters {
		emitting.Go(func() {
			for range each {
				s.emit(WorkerReady{})
				s.since(s.subscribeAndClose())
			}
		})
	}
	emitting.Wait()
	s.end()
	reading.Wait()
	if past, _ := s.since(0); len(past) != 20 || past[19].Seq != emitters*each {
		t.Errorf("remembers %v", numbers(past))
	}
}

// subscribeAndClose is a reader that comes and goes.
func (s *stream) subscribeAndClose() uint64 {
	r := s.subscribe(2)
	defer r.Close()
	return r.After()
}

// account reads to the end and says what is missing without a word.
func account(ctx context.Context, r *Subscription) error {
	last := r.After()
	for {
		e, err := r.Next(ctx)
		if errors.Is(err, ErrEventsEnded) {
			if last != 2000 {
				return fmt.Errorf("it ended after %d", last)
			}
			return nil
		} else if err != nil {
			return err
		}
		step := uint64(1)
		if l, ok := e.Event.(Lagged); ok {
			step = uint64(l.Missed) //nolint:gosec // it is positive
		}
		if e.Seq != last+step {
			return fmt.Errorf("after %d comes %+v", last, e)
		}
		last = e.Seq
	}
}

// TestEmitIsCheap: with nobody there an event takes no memory of its own but what is
// remembered, so that programs may print much.
func TestEmitIsCheap(t *testing.T) { //nolint:paralleltest // it counts allocations
	s := quietStream(10)
	var e Event = WorkerPrinted{Worker: "wc/1", Line: "x"}
	if n := testing.AllocsPerRun(100, func() { s.publish(e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEmit(b *testing.B) {
	for _, readers := range []int{0, 1, 10} {
		b.Run(fmt.Sprint("readers=", readers), func(b *testing.B) {
			s := quietStream(pastEvents)
			for range readers {
				defer s.subscribe(100).Close()
			}
			var e Event = WorkerReady{Worker: "wc/1"}
			b.ReportAllocs()
			for b.Loop() {
				s.publish(e)
			}
		})
	}
}

// TestManagerEvents: a reader of a manager's events sees them to the last, and what
// has been can be read afterwards.
func TestManagerEvents(t *testing.T) {
	t.Parallel()
	m, err := New(Config{Settings: settings(t, "127.0.0.1:1"), Plan: &Plan{}, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	r := m.Subscribe(10)
	defer r.Close()
	m.emit(ConfigAccepted{})
	m.emit(FleetStopped{}) // Stop says nothing of a fleet that was not started
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	var names []string
	for {
		e, err := r.Next(t.Context())
		if errors.Is(err, ErrEventsEnded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Event.Name())
	}
	if want := []string{"config_accepted", "fleet_stopped"}; !slices.Equal(names, want) {
		t.Errorf("read %v, want %v", names, want)
	}
	if past, whole := m.PastEvents(1); len(past) != 1 || past[0].Event.Name() != "fleet_stopped" || !whole {
		t.Errorf("remembers %v, %v", past, whole)
	}
}
