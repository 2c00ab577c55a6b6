package geartest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
)

// Server runs scripts. Its methods are safe for concurrent use.
type Server struct {
	tb    testing.TB
	ln    net.Listener // nil for StartPipe
	stop  chan struct{}
	abort chan struct{}
	done  chan struct{}
	wg    sync.WaitGroup

	mu      sync.Mutex
	scripts []Script // not begun
	conns   int
	running int // connections whose script is not an EveryConn one
	closed  bool
}

// Start makes a server on a free port of 127.0.0.1 that runs these scripts,
// one for each connection. It is stopped by the test's clean-up, which waits
// for scripts to end.
func Start(tb testing.TB, scripts ...Script) *Server {
	tb.Helper()
	s := newServer(tb, scripts)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		tb.Fatalf("geartest: %v", err)
	}
	s.ln = ln
	s.wg.Go(s.accept)
	tb.Cleanup(s.cleanup)
	return s
}

// StartPipe makes a server that is reached only by its Dial, over net.Pipe. A
// write there blocks until the other side reads it.
func StartPipe(tb testing.TB, scripts ...Script) *Server {
	tb.Helper()
	s := newServer(tb, scripts)
	tb.Cleanup(s.cleanup)
	return s
}

func newServer(tb testing.TB, scripts []Script) *Server {
	tb.Helper()
	s := &Server{
		tb: tb, scripts: scripts,
		stop: make(chan struct{}), abort: make(chan struct{}), done: make(chan struct{}),
	}
	s.checkDone()
	return s
}

// Addr is the server's address as host:port. For a server without sockets it is
// a name that only its Dial understands.
func (s *Server) Addr() string {
	if s.ln == nil {
		return "pipe.invalid:4730"
	}
	return s.ln.Addr().String()
}

// Dial connects to the server whatever addr says; it fits where a client takes
// a dial function. It does not block.
func (s *Server) Dial(ctx context.Context, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.ln != nil {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", s.ln.Addr().String())
	}
	ours, theirs := net.Pipe()
	if !s.begin(ours) {
		_ = theirs.Close()
		return nil, net.ErrClosed
	}
	return theirs, nil
}

// Done is closed when every script has run to its end, be it good or bad.
func (s *Server) Done() <-chan struct{} { return s.done }

// Conns is the number of connections that have come so far.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// accept is the listener's goroutine.
func (s *Server) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.begin(conn)
	}
}

// begin runs the next script on conn, or refuses it.
func (s *Server) begin(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return false
	}
	s.conns++
	if len(s.scripts) == 0 {
		s.tb.Errorf("geartest: connection %d came, but there is no script for it", s.conns)
		_ = conn.Close()
		return false
	}
	script := s.scripts[0]
	if !script.every {
		s.scripts = s.scripts[1:]
		s.running++
	}
	number := s.conns
	s.wg.Go(func() { s.serve(conn, number, script) })
	return true
}

// serve is the goroutine of one connection.
func (s *Server) serve(conn net.Conn, number int, script Script) {
	abort := s.abort
	if script.every {
		abort = s.stop
	}
	release := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-abort:
			_ = conn.Close()
		case <-release:
		}
	}()
	err := newPeer(conn, s.stop, abort).run(script.steps)
	close(release)
	<-watched
	_ = conn.Close()
	s.finish(number, script, err, closed(abort))
}

// finish reports how a script ended.
func (s *Server) finish(number int, script Script, err error, aborted bool) {
	if err != nil && !aborted && (!script.every || !errors.Is(err, errEnded)) {
		s.tb.Errorf("geartest: connection %d: %v", number, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !script.every {
		s.running--
	}
	s.checkDone()
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// checkDone closes done once nothing is left to come. Its caller holds mu, but
// for the constructor.
func (s *Server) checkDone() {
	if s.running > 0 || s.unused() > 0 {
		return
	}
	select {
	case <-s.done:
	default:
		close(s.done)
	}
}

// unused counts the scripts that still want a connection.
func (s *Server) unused() int {
	n := 0
	for _, sc := range s.scripts {
		if !sc.every {
			n++
		}
	}
	return n
}

// cleanup ends the server: a test that has failed leaves at once, another one
// waits for the scripts that run.
func (s *Server) cleanup() {
	s.mu.Lock()
	s.closed = true
	unused, conns := s.unused(), s.conns
	s.mu.Unlock()
	if s.ln != nil {
		_ = s.ln.Close()
	}
	close(s.stop)
	if s.tb.Failed() {
		close(s.abort)
	} else if unused > 0 {
		s.tb.Errorf("geartest: %d connections came, %d scripts were not begun", conns, unused)
	}
	s.wg.Wait()
}

// String names the server in messages.
func (s *Server) String() string { return fmt.Sprintf("scripted job server %s", s.Addr()) }
