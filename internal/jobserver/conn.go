package jobserver

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// unusedType is the number between PRE_SLEEP and NOOP that the protocol skips.
// It is answered like any packet that is no request.
const unusedType = 5

// maxLine is the longest line of the text protocol in bytes, with its end, as
// in gearmand.
const maxLine = 8 << 10

// errLongLine ends a connection whose peer sends a longer one.
var errLongLine = errors.New("line of the text protocol is too long")

// conn serves one connection: its only goroutine reads requests and performs
// them on the queue.
type conn struct {
	srv     *Server
	nc      net.Conn
	out     *outbox
	peer    *peer
	reader  *wire.Reader
	effects effects
}

// newConn wraps an accepted connection.
func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc}
	c.out = newOutbox(nc, s.conf.MaxPending, s.running.Go)
	c.peer = newPeer(c.out, hostOf(nc.RemoteAddr()), s.conf.Exceptions)
	c.reader = wire.NewReader(input{c}, wire.Request, s.conf.MaxData)
	return c
}

// hostOf returns the address without the port.
func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// input is the connection as its reader sees it. Before it can wait for more
// input, everything that the input so far has caused is sent, so that requests
// that arrive together are answered together; and a peer that does not read its
// answers is not read from.
type input struct{ c *conn }

// Read waits for input.
func (in input) Read(b []byte) (int, error) {
	in.c.srv.apply(&in.c.effects)
	in.c.out.wait(in.c.srv.conf.MaxPending / 2)
	return in.c.nc.Read(b)
}

// run serves the connection until its end.
func (c *conn) run() {
	defer c.srv.remove(c)
	c.srv.tell(ConnOpened{c.nc.RemoteAddr()})
	c.srv.do(&c.effects, func(q *queue) { q.connect(c.peer) })
	err := c.guard(c.serve)
	if leave := c.guard(c.leave); err == nil {
		err = leave
	}
	c.srv.apply(&c.effects)
	if slow := c.out.finish(); errors.Is(slow, errSlowPeer) {
		err = slow
	}
	c.srv.tell(ConnClosed{c.nc.RemoteAddr(), err})
}

// leave takes the peer out of the queue.
func (c *conn) leave() error {
	c.srv.do(&c.effects, func(q *queue) { q.disconnect(c.peer) })
	return nil
}

// errInternal says that the server is at fault.
var errInternal = errors.New("internal error")

// guard runs f and turns a panic into an error: one connection that finds a
// fault of the server must not end the others.
func (c *conn) guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errInternal, r)
		}
	}()
	return f()
}

// serve reads and performs requests. It returns nil at the peer's goodbye or
// the server's end.
func (c *conn) serve() error {
	for {
		first, err := c.reader.Peek(1)
		if err == nil {
			if first[0] == 0 {
				err = c.packet()
			} else {
				err = c.line()
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return nil
		default:
			return fmt.Errorf("read request: %w", err)
		}
	}
}

// line performs one command of the operator's text protocol.
func (c *conn) line() error {
	line, err := c.reader.ReadLine()
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = c.longLine(bytes.Clone(line))
	}
	if err != nil {
		return err //nolint:wrapcheck // serve does
	}
	c.srv.do(&c.effects, func(q *queue) { q.command(c.peer, line) })
	return nil
}

// longLine reads the rest of a line that did not fit the reader's buffer.
func (c *conn) longLine(line []byte) ([]byte, error) {
	for {
		more, err := c.reader.ReadLine()
		line = append(line, more...)
		if len(line) > maxLine {
			return nil, errLongLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err //nolint:wrapcheck // serve does
		}
	}
}

// packet performs one request of the binary protocol.
func (c *conn) packet() error {
	if handled, err := c.odd(); handled || err != nil {
		return err
	}
	r, err := c.reader.Next()
	if large, ok := errors.AsType[*wire.TooLargeError](err); ok {
		c.srv.do(&c.effects, func(q *queue) { q.tooLarge(c.peer, r, large) })
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // serve does
	}
	now := time.Now()
	c.srv.do(&c.effects, func(q *queue) { q.dispatch(c.peer, r, now) })
	return nil
}

// odd answers and skips the packets that gearmand refuses without closing the
// connection, and the codec would not let pass: responses, and the unused type.
func (c *conn) odd() (bool, error) {
	head, err := c.reader.Peek(wire.HeaderSize)
	if err != nil {
		return false, nil //nolint:nilerr // Next meets and names it
	}
	code, text := codeInvalidMagic, "Request magic expected"
	switch wire.Magic(binary.BigEndian.Uint32(head)) {
	case wire.Response:
	case wire.Request:
		if binary.BigEndian.Uint32(head[4:]) != unusedType {
			return false, nil
		}
		code, text = codeInvalidCommand, "Command not expected"
	default:
		return false, nil
	}
	size := wire.HeaderSize + int64(binary.BigEndian.Uint32(head[8:]))
	c.srv.do(&c.effects, func(q *queue) { q.reject(c.peer, code, text) })
	return true, c.reader.Discard(size)
}
