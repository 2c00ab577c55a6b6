package jobserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// acceptPause is how long the server waits after a connection could not be
// accepted, which happens when file descriptors are short.
const acceptPause = 50 * time.Millisecond

// Errors of [Server.Start].
var (
	// ErrStarted says that the server was started before.
	ErrStarted = errors.New("job server was started before")
	// ErrStopped says that the server was stopped, perhaps before its start.
	ErrStopped = errors.New("job server is stopped")
)

// Server is an embedded job server. Its methods are safe for concurrent use.
// It is made by [New] and used once: after [Server.Stop] it cannot be started
// again.
type Server struct {
	conf Config

	mu    sync.Mutex // guards the next three; held for one request at a time, never over a system call
	queue *queue
	armed time.Time   // what alarm is set to; zero if to nothing
	alarm *time.Timer // fires at the earliest deadline of the queue

	life     sync.Mutex // guards the rest
	listener net.Listener
	conns    map[*conn]struct{}
	unwatch  func() bool // stops watching the context of Start
	stopped  bool
	done     chan struct{}  // closed by the first stop
	running  sync.WaitGroup // every goroutine of the server
}

// New returns a server that is not yet listening. The error is a
// [*ConfigError], or that of asking for the name of the host.
func New(conf Config) (*Server, error) {
	conf, err := conf.withDefaults()
	if err != nil {
		return nil, err
	}
	alarm := time.NewTimer(0)
	alarm.Stop()
	return &Server{
		conf:  conf,
		queue: newQueue(conf),
		alarm: alarm,
		conns: map[*conn]struct{}{},
		done:  make(chan struct{}),
	}, nil
}

// Start listens and returns; connections are served by goroutines of the
// server until [Server.Stop] is called or ctx ends. It fails with the error of
// listening, [ErrStarted] or [ErrStopped].
func (s *Server) Start(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	switch {
	case s.stopped:
		return ErrStopped
	case s.listener != nil:
		return ErrStarted
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.conf.Addr)
	if err != nil {
		return fmt.Errorf("start job server: %w", err)
	}
	s.listener = l
	s.unwatch = context.AfterFunc(ctx, s.shut)
	s.running.Go(func() { s.accept(l) })
	s.running.Go(s.watchDeadlines)
	return nil
}

// Addr returns the address that the server listens on, with the port that was
// chosen; empty before Start.
func (s *Server) Addr() string {
	s.life.Lock()
	defer s.life.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Stop closes the listener and every connection and waits for the server's
// goroutines, at most until ctx ends; then the error says how many connections
// were left. Jobs are gone with the server. Stopping twice, or before Start, is
// legal.
func (s *Server) Stop(ctx context.Context) error {
	s.shut()
	ended := make(chan struct{})
	go func() { // ends with the server's last goroutine
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		s.life.Lock()
		defer s.life.Unlock()
		return fmt.Errorf("stop job server: %d connections left: %w", len(s.conns), context.Cause(ctx))
	}
}

// shut makes everything end and waits for nothing.
func (s *Server) shut() {
	s.life.Lock()
	defer s.life.Unlock()
	if s.stopped {
		return
	}
	s.stopped = true
	close(s.done)
	if s.listener != nil {
		s.unwatch()
		_ = s.listener.Close()
	}
	for c := range s.conns {
		_ = c.nc.Close()
	}
}

// accept serves what connects until the listener is closed.
func (s *Server) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err == nil {
			s.admit(nc)
			continue
		}
		select {
		case <-s.done:
			return
		default:
			s.tell(AcceptFailed{err})
		}
		select {
		case <-s.done:
			return
		case <-time.After(acceptPause):
		}
	}
}

// admit starts serving a connection, unless the server is being stopped.
func (s *Server) admit(nc net.Conn) {
	s.life.Lock()
	defer s.life.Unlock()
	if s.stopped {
		_ = nc.Close()
		return
	}
	c := newConn(s, nc)
	s.conns[c] = struct{}{}
	s.running.Go(c.run)
}

// remove forgets a connection that has ended.
func (s *Server) remove(c *conn) {
	s.life.Lock()
	defer s.life.Unlock()
	delete(s.conns, c)
}

// tell reports an event, if somebody listens.
func (s *Server) tell(e Event) {
	if s.conf.Events != nil {
		s.conf.Events(e)
	}
}

// effects are what follows from work on the queue and is done without its
// lock. They belong to one goroutine.
type effects struct {
	touched []*outbox
	events  []Event
}

// do runs f with the queue locked and adds what follows to e.
func (s *Server) do(e *effects, f func(*queue)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.queue)
	e.touched = append(e.touched, s.queue.touched...)
	s.queue.touched = s.queue.touched[:0]
	e.events = append(e.events, s.queue.events...)
	s.queue.events = s.queue.events[:0]
	s.setAlarm()
}

// apply writes and tells what has gathered in e.
func (s *Server) apply(e *effects) {
	for i, o := range e.touched {
		o.flush()
		e.touched[i] = nil
	}
	e.touched = e.touched[:0]
	for _, ev := range e.events {
		s.tell(ev)
	}
	e.events = e.events[:0]
}

// setAlarm follows the earliest deadline. Callers hold mu.
func (s *Server) setAlarm() {
	next := s.queue.deadlines.next()
	if next.Equal(s.armed) {
		return
	}
	s.armed = next
	if next.IsZero() {
		s.alarm.Stop()
		return
	}
	s.alarm.Reset(time.Until(next))
}

// watchDeadlines lets the queue's deadlines pass until the server stops.
func (s *Server) watchDeadlines() {
	defer s.alarm.Stop()
	var e effects
	for {
		select {
		case <-s.done:
			return
		case <-s.alarm.C:
			s.do(&e, func(q *queue) {
				q.expire(time.Now())
				s.armed = time.Time{} // it has fired: set it anew
			})
			s.apply(&e)
		}
	}
}
