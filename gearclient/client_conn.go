package gearclient

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// What one write of a connection takes: calls that wait are sent together up to
// clientBatch, and larger packets in pieces of clientPiece, each of which has
// the reply timeout to itself, so that a slow line is not taken for a dead one.
const (
	clientBatch = 64 << 10
	clientPiece = 256 << 10
)

// clientKind is what a call asks for.
type clientKind int

const (
	clientSubmit clientKind = iota
	clientStatus
	clientUniqueStatus
	clientEcho
	clientOption
)

// clientCall is one request and the place for its reply.
type clientCall struct {
	kind   clientKind
	packet []byte
	key    string           // handle or unique key of a status request
	task   *Task            // foreground submission
	reply  chan clientReply // 1-buffered; nil for an option
}

// clientReply answers a call.
type clientReply struct {
	handle Handle
	status Status
	data   []byte
	err    error
	sent   bool // with err: the server may have got the call
}

// clientConn is one connection. Two goroutines serve it: read owns the framing
// and matches replies, write owns what is sent.
type clientConn struct {
	server *clientServer
	raw    net.Conn
	calls  chan *clientCall // to write
	done   chan struct{}    // closed by end

	mu      sync.Mutex
	cause   error // why the connection ended
	pending []*clientCall
	due     int                // pending calls that must be answered
	within  bool               // read is within a packet
	tasks   map[string][]*Task // by handle; several if a unique key joined them
	next    map[string]int     // which of several tasks gets the next update
}

// startClientConn takes over raw and starts its goroutines.
func startClientConn(raw net.Conn, s *clientServer) *clientConn {
	c := &clientConn{
		server: s, raw: raw,
		calls: make(chan *clientCall), done: make(chan struct{}),
		tasks: map[string][]*Task{}, next: map[string]int{},
	}
	s.client.wg.Go(c.read)
	s.client.wg.Go(c.write)
	return c
}

func (c *clientConn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// end closes the connection for good; the first cause counts. Everything that
// waits on it gets an error.
func (c *clientConn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return
	}
	c.cause = cause
	close(c.done)
	_ = c.raw.Close()
	for _, call := range c.pending {
		if call.reply != nil {
			call.reply <- clientReply{err: c.lostError(call, true), sent: true}
		}
	}
	for handle, tasks := range c.tasks {
		for _, t := range tasks {
			t.finish(nil, &LostError{Server: c.server.addr, Handle: handle, Err: cause})
		}
	}
	c.pending, c.tasks = nil, nil
}

// lost is the error of a call that met the end of the connection.
func (c *clientConn) lost(call *clientCall, sent bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lostError(call, sent)
}

// lostError is lost for a caller that holds mu.
func (c *clientConn) lostError(call *clientCall, sent bool) error {
	safe := !sent || call.kind != clientSubmit
	return &LostError{Server: c.server.addr, Handle: call.key, Err: c.cause, safe: safe}
}

// abandon makes a reply that comes later go nowhere.
func (c *clientConn) abandon(call *clientCall) {
	if call.task != nil {
		call.task.Abandon()
	}
}

// write sends what callers want sent, several calls in one write if they wait
// already.
func (c *clientConn) write() {
	if !c.server.cfg.NoExceptions {
		option, _ := wire.Append(nil, wire.Packet{Magic: wire.Request, Type: wire.OptionReq, Args: [][]byte{[]byte("exceptions")}})
		if !c.sendCalls([]*clientCall{{kind: clientOption, packet: option}}) {
			return
		}
	}
	for {
		select {
		case call := <-c.calls:
			if !c.sendCalls(c.gather(call)) {
				return
			}
		case <-c.done:
			return
		}
	}
}

// gather adds the calls that wait already, up to a batch.
func (c *clientConn) gather(first *clientCall) []*clientCall {
	calls, size := []*clientCall{first}, len(first.packet)
	for size < clientBatch {
		select {
		case call := <-c.calls:
			calls, size = append(calls, call), size+len(call.packet)
		default:
			return calls
		}
	}
	return calls
}

// sendCalls queues the calls for their replies and sends them; after a failure
// the connection has ended.
func (c *clientConn) sendCalls(calls []*clientCall) bool {
	if !c.expect(calls) {
		return false
	}
	packets := calls[0].packet
	if len(calls) > 1 {
		packets = nil
		for _, call := range calls {
			packets = append(packets, call.packet...)
		}
	}
	for len(packets) > 0 {
		piece := packets[:min(len(packets), clientPiece)]
		err := c.raw.SetWriteDeadline(time.Now().Add(c.server.cfg.ReplyTimeout))
		if err == nil {
			_, err = c.raw.Write(piece)
		}
		if err != nil {
			c.end(c.explain(err, "took nothing"))
			return false
		}
		packets = packets[len(piece):]
	}
	return true
}

// expect queues calls before they are sent. If the connection has ended already
// it answers them, for they were taken from their callers.
func (c *clientConn) expect(calls []*clientCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		for _, call := range calls {
			if call.reply != nil {
				call.reply <- clientReply{err: c.lostError(call, false)}
			}
		}
		return false
	}
	c.pending = append(c.pending, calls...)
	for _, call := range calls {
		if call.kind == clientOption {
			continue
		}
		if c.due == 0 && !c.within {
			_ = c.raw.SetReadDeadline(time.Now().Add(c.server.cfg.ReplyTimeout)) // a closed one fails the read
		}
		c.due++
	}
	return true
}

// read takes packets off the connection until it ends.
func (c *clientConn) read() {
	r := wire.NewReader(clientStream{c}, wire.Response, c.server.cfg.MaxData)
	for {
		c.between(r.Buffered() == 0)
		p, err := r.Next()
		if large, ok := errors.AsType[*wire.TooLargeError](err); ok {
			err = c.tooLarge(p, large)
		} else if err == nil {
			err = c.dispatch(p)
		}
		if err != nil {
			c.end(c.explain(err, "sent nothing"))
			return
		}
	}
}

// between notes whether a packet has begun, on which the deadline of the next
// read depends.
func (c *clientConn) between(packets bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.within = !packets
}

// explain gives the errors of a stream their meaning.
func (c *clientConn) explain(err error, what string) error {
	_, malformed := errors.AsType[*wire.FormatError](err)
	switch {
	case malformed:
		return fmt.Errorf("what answers there does not speak Gearman's protocol: %w", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server %s for %v: %w", what, c.server.cfg.ReplyTimeout, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the server closed it: %w", err)
	default:
		return err
	}
}

// clientStream is the connection as its wire.Reader sees it. A read has a
// deadline if a reply is due or a packet has begun; otherwise a server may be
// silent for ever.
type clientStream struct{ c *clientConn }

func (s clientStream) Read(b []byte) (int, error) {
	if err := s.c.armRead(); err != nil {
		return 0, err
	}
	n, err := s.c.raw.Read(b)
	if n > 0 {
		s.c.between(false)
	}
	return n, err
}

func (c *clientConn) armRead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var deadline time.Time
	if c.due > 0 || c.within {
		deadline = time.Now().Add(c.server.cfg.ReplyTimeout)
	}
	return c.raw.SetReadDeadline(deadline)
}
