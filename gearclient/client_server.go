package gearclient

import (
	"context"
	"errors"
	"sync"
	"time"
)

// clientDownFor is how long a server that could not be reached is tried after
// all others.
const clientDownFor = 2 * time.Second

// clientServer is one configured server and the connection to it, if any.
type clientServer struct {
	addr   string
	cfg    ClientConfig
	client *Client

	mu      sync.Mutex
	conn    *clientConn
	dialing chan struct{} // closed when the dial that runs has ended; nil without one
	down    time.Time     // until when the server counts as unreachable
}

// isDown tells whether the server could not be reached a moment ago.
func (s *clientServer) isDown(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.down)
}

// call gives the call to the server's connection and waits for its reply. sent
// tells whether the server may have got it.
func (s *clientServer) call(ctx context.Context, call *clientCall) (reply clientReply, sent bool, err error) {
	conn, err := s.hand(ctx, call)
	if err != nil {
		return clientReply{}, false, err
	}
	select {
	case reply = <-call.reply:
		return reply, reply.sent, reply.err
	case <-ctx.Done():
		conn.abandon(call)
		return clientReply{}, true, context.Cause(ctx)
	}
}

// hand gives the call to the writer of a connection. A connection that ends
// just then is replaced once.
func (s *clientServer) hand(ctx context.Context, call *clientCall) (*clientConn, error) {
	for again := true; ; again = false {
		conn, err := s.connect(ctx)
		if err != nil {
			return nil, err
		}
		select {
		case conn.calls <- call:
			return conn, nil
		case <-conn.done:
			if !again {
				return nil, conn.lost(call, false)
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// connect returns the connection that stands, or makes one. One caller dials,
// the others wait for it.
func (s *clientServer) connect(ctx context.Context) (*clientConn, error) {
	for {
		if s.client.isClosed() {
			return nil, ErrClosed
		}
		conn, wait, mine := s.current()
		switch {
		case conn != nil:
			return conn, nil
		case mine:
			return s.dial(ctx)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// current gives the connection that stands, or the end of a dial to wait for;
// mine tells the caller that it is the one who has to dial.
func (s *clientServer) current() (conn *clientConn, wait <-chan struct{}, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.conn != nil && s.conn.alive():
		return s.conn, nil, false
	case s.dialing != nil:
		return nil, s.dialing, false
	}
	s.dialing = make(chan struct{})
	return nil, nil, true
}

// dial makes a new connection.
func (s *clientServer) dial(ctx context.Context) (*clientConn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer clientOnClose(s.client.closed, func() { cancel(ErrClosed) })()
	raw, err := s.cfg.Dial(ctx, s.addr)
	if errors.Is(context.Cause(ctx), ErrClosed) {
		err = ErrClosed
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.dialing)
	s.dialing = nil
	if err == nil && s.client.isClosed() {
		err = ErrClosed
	}
	if err != nil {
		if raw != nil {
			_ = raw.Close()
		}
		return nil, s.dialError(ctx, err)
	}
	s.down = time.Time{}
	s.conn = startClientConn(raw, s)
	return s.conn, nil
}

// dialError remembers an unreachable server, and makes the error say which one
// it was.
func (s *clientServer) dialError(ctx context.Context, err error) error {
	if errors.Is(err, ErrClosed) {
		return err
	}
	if ctx.Err() == nil {
		s.down = time.Now().Add(clientDownFor)
	}
	return dialFailed(ctx, s.addr, err)
}

// close ends the connection if there is one.
func (s *clientServer) close() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		conn.end(ErrClosed)
	}
}

func (c *Client) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// clientOnClose calls f when ch is closed, unless the function that it returns
// was called before; that one waits for a call of f that runs.
func clientOnClose(ch <-chan struct{}, f func()) (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ch:
			f()
		case <-over:
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}
