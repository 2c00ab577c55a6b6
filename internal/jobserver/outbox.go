package jobserver

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// byReference is the size in bytes from which data is sent from where it lies
// instead of being copied behind the packets before it.
const byReference = 16 << 10

// keepBuffer is the size in bytes up to which a buffer is used again, so that
// one large burst does not hold its memory for the life of the connection.
const keepBuffer = 64 << 10

// linger bounds how long a connection that ends may take to read what was
// still waiting for it.
const linger = 30 * time.Second

// errSlowPeer ends a connection whose peer does not read.
var errSlowPeer = errors.New("peer does not read: too much output waiting")

// outbox collects what is to be written to one peer and writes it without ever
// making the caller wait: what the socket does not take at once is left to a
// goroutine that exists as long as there is a backlog. Without a socket it only
// collects, which is what tests of the queue use.
type outbox struct {
	conn  net.Conn
	raw   syscall.RawConn
	limit int64
	spawn func(func()) // runs the goroutine for a backlog

	mu      sync.Mutex
	full    [][]byte      // finished chunks, before tail
	tail    []byte        // small packets are appended here
	spare   []byte        // storage for the next tail
	size    int64         // bytes collected and not yet written
	pending bool          // somebody is going to call flush
	writing bool          // somebody owns the socket
	err     error         // nothing more is written
	room    chan struct{} // 1-buffered: size went down

	try      func(fd uintptr) bool // bound once: one write that does not wait
	tryBuf   []byte                // its argument; owned by who set writing
	tryCount int                   // its result
}

// newOutbox returns the outbox of conn, which may be nil in tests.
func newOutbox(conn net.Conn, limit int64, spawn func(func())) *outbox {
	o := &outbox{conn: conn, limit: limit, spawn: spawn, room: make(chan struct{}, 1)}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.raw = raw
		}
	}
	o.try = func(fd uintptr) bool {
		n, err := syscall.Write(int(fd), o.tryBuf)
		if err != nil {
			n = 0 // whatever it is, the waiting write meets it again
		}
		o.tryCount = n
		return true
	}
	return o
}

// packet adds a response. It reports whether the caller has to see to a flush.
func (o *outbox) packet(t wire.Type, args ...[]byte) bool {
	size := max(len(args)-1, 0)
	for _, a := range args {
		size += len(a)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.admit(wire.HeaderSize + size) {
		return o.toFlush()
	}
	o.tail = wire.AppendHeader(o.tail, wire.Response, t, size)
	for i, a := range args {
		if i > 0 {
			o.tail = append(o.tail, 0)
		}
		o.add(a)
	}
	return o.toFlush()
}

// text adds a reply of the text protocol, under the same rules as packet.
func (o *outbox) text(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.admit(len(b)) {
		o.add(b)
	}
	return o.toFlush()
}

// admit counts n bytes in, or fails the connection if they are too many.
// Callers hold mu.
func (o *outbox) admit(n int) bool {
	if o.err != nil {
		return false
	}
	if o.size += int64(n); o.size > o.limit {
		o.err = errSlowPeer
		o.full, o.tail = nil, nil
		return false
	}
	return true
}

// add appends bytes, large ones by reference. Callers hold mu.
func (o *outbox) add(b []byte) {
	if len(b) < byReference {
		o.tail = append(o.tail, b...)
		return
	}
	o.full = append(o.full, o.tail, b)
	o.tail = nil
}

// toFlush reports whether nobody has promised a flush yet, and promises it in
// the caller's name. Callers hold mu.
func (o *outbox) toFlush() bool {
	first := !o.pending
	o.pending = true
	return first
}

// flush writes what was collected as far as the socket takes it and never
// waits. Safe for concurrent use.
func (o *outbox) flush() {
	o.mu.Lock()
	o.pending = false
	if o.conn == nil || (o.writing && o.err == nil) {
		o.mu.Unlock()
		return
	}
	if o.err != nil {
		o.mu.Unlock()
		_ = o.conn.Close() // wakes the reader, which reports o.err
		o.signal()
		return
	}
	o.writing = true
	for o.size > 0 {
		bufs := o.take()
		o.mu.Unlock()
		rest := o.writeNow(bufs)
		o.mu.Lock()
		if len(rest) > 0 {
			o.mu.Unlock()
			o.spawn(func() { o.writeAll(rest) })
			return
		}
	}
	o.writing = false
	o.mu.Unlock()
}

// take removes everything collected. Callers hold mu and own the socket.
func (o *outbox) take() net.Buffers {
	bufs := net.Buffers(o.full)
	if len(o.tail) > 0 {
		bufs = append(bufs, o.tail)
	}
	o.full = nil
	o.tail, o.spare = o.spare[:0], o.tail
	if cap(o.spare) > keepBuffer {
		o.spare = nil
	}
	return bufs
}

// writeNow writes bufs if that can be done with one call that does not wait,
// and returns what is left.
func (o *outbox) writeNow(bufs net.Buffers) net.Buffers {
	if len(bufs) != 1 || o.raw == nil {
		return bufs
	}
	o.tryBuf, o.tryCount = bufs[0], 0
	if err := o.raw.Write(o.try); err != nil {
		return bufs
	}
	o.wrote(int64(o.tryCount))
	if o.tryCount == len(bufs[0]) {
		return nil
	}
	bufs[0] = bufs[0][o.tryCount:]
	return bufs
}

// writeAll writes bufs and all that is collected meanwhile, waiting for the
// peer as long as it takes. It ends with the backlog or with the connection.
func (o *outbox) writeAll(bufs net.Buffers) {
	for {
		n, err := bufs.WriteTo(o.conn)
		o.wrote(n)
		o.mu.Lock()
		if err != nil && o.err == nil {
			o.err = err
		}
		if o.err != nil || o.size == 0 {
			failed := o.err != nil
			o.writing = false
			o.mu.Unlock()
			o.signal()
			if failed {
				_ = o.conn.Close()
			}
			return
		}
		bufs = o.take()
		o.mu.Unlock()
	}
}

// wrote counts n bytes out.
func (o *outbox) wrote(n int64) {
	o.mu.Lock()
	o.size -= n
	o.mu.Unlock()
	o.signal()
}

// signal tells wait that the backlog went down.
func (o *outbox) signal() {
	select {
	case o.room <- struct{}{}:
	default:
	}
}

// wait blocks until at most n bytes wait to be read by the peer, or nothing
// more will be written. Only the connection's own reader calls it: who does not
// read is not served, and nobody else is held up.
func (o *outbox) wait(n int64) {
	for {
		o.mu.Lock()
		done := o.size <= n || o.err != nil
		o.mu.Unlock()
		if done {
			return
		}
		<-o.room
	}
}

// finish gives the peer a last moment to read what waits for it, and closes
// the connection. It returns why the connection was ended by this side.
func (o *outbox) finish() error {
	_ = o.conn.SetWriteDeadline(time.Now().Add(linger))
	o.flush()
	o.wait(0)
	o.mu.Lock()
	err := o.err
	if o.err == nil {
		o.err = net.ErrClosed
	}
	o.mu.Unlock()
	_ = o.conn.Close()
	return err
}
