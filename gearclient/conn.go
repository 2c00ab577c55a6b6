package gearclient

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// workerConn is one connection of a slot to a server. One goroutine reads it
// at a time: the slot's own, or one that listens for it. Writing is for
// everybody, under mu.
type workerConn struct {
	server  string
	net     net.Conn
	reader  *wire.Reader  // over the workerConn itself, whose Read moves the deadline
	timeout time.Duration // for an answer
	until   time.Time     // read deadline that was set last
	short   bool          // leave the deadline as it is
	hurried atomic.Bool   // the same, since the slot is to leave
	parked  atomic.Bool   // its GRAB_JOB was not answered in time
	echoing atomic.Bool   // the answer to an echo is owed
	unwatch func() bool   // ends what closes it when its time is over
	mu      sync.Mutex    // held while writing, and for the state of jobs
}

// newWorkerConn wraps a connection.
func newWorkerConn(server string, conn net.Conn, cfg WorkerConfig) *workerConn {
	c := &workerConn{server: server, net: conn, timeout: cfg.ServerTimeout}
	c.reader = wire.NewReader(c, wire.Response, cfg.MaxData)
	return c
}

// Read reads from the connection. The deadline is moved at most once a second,
// since moving it costs as much as a small job.
func (c *workerConn) Read(p []byte) (int, error) {
	if !c.short && !c.hurried.Load() {
		now := time.Now()
		if c.until.Sub(now) < c.timeout-min(time.Second, c.timeout/4) {
			c.until = now.Add(c.timeout)
			_ = c.net.SetReadDeadline(c.until) // an error shows in Read
			if c.hurried.Load() {              // just now, and we have overwritten its deadline
				_ = c.net.SetReadDeadline(now.Add(leaveTimeout))
			}
		}
	}
	return c.net.Read(p)
}

// soon waits for a moment until there is something to read, and reports
// whether there is. It reports false at once if waiting would hold others up.
func (c *workerConn) soon() bool {
	if c.reader.Buffered() > 0 {
		return true
	}
	kernel, ok := c.net.(*kernelConn)
	return ok && kernel.soon()
}

// readSoon waits for d, or a little longer, for the first byte of a packet. It
// reports false if nothing at all has come.
func (c *workerConn) readSoon(d time.Duration) bool {
	if c.reader.Buffered() > 0 {
		return true
	}
	c.short = true
	if left := time.Until(c.until); left < d || left > d+d/4 {
		c.until = time.Now().Add(d + d/4)
		_ = c.net.SetReadDeadline(c.until) // an error shows in Peek
	}
	_, err := c.reader.Peek(1)
	c.short = false
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// next reads one packet.
func (c *workerConn) next() (wire.Packet, error) {
	p, err := c.reader.Next()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &SilenceError{c.server, err}
	}
	return p, err
}

// await waits for the first byte of a packet, however long it takes, unless
// the server owes an answer or the slot is to leave.
func (c *workerConn) await() error {
	for owing := false; ; owing = c.parked.Load() || c.echoing.Load() {
		_, err := c.reader.Peek(1)
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case owing || c.hurried.Load():
			return &SilenceError{c.server, err}
		}
	}
}

// hurry bounds a read that is under way, and all after it, by leaveTimeout. It may be called by
// others than the reader.
func (c *workerConn) hurry() {
	c.hurried.Store(true)
	_ = c.net.SetReadDeadline(time.Now().Add(leaveTimeout)) // an error shows in the read
}

// write sends bytes.
func (c *workerConn) write(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.net.Write(b)
	return err
}

// joinBelow is the size up to which a head and its data are copied together,
// which is cheaper than a vector of two.
const joinBelow = 32 << 10

// writeLocked sends head and data in one write; it may append to head. The
// caller holds mu.
func (c *workerConn) writeLocked(head, data []byte) error {
	if len(data) <= joinBelow {
		_, err := c.net.Write(append(head, data...))
		return err
	}
	return c.writeVector(net.Buffers{head, data})
}

// writeVector sends much. What fits the system's buffers cannot block; this
// may, on a server that hangs: one that takes less than a megabyte a second
// counts as hung. The caller holds mu.
func (c *workerConn) writeVector(bufs net.Buffers) error {
	size := 0
	for _, b := range bufs {
		size += len(b)
	}
	patience := c.timeout + time.Duration(size>>20)*time.Second
	_ = c.net.SetWriteDeadline(time.Now().Add(patience))
	defer c.net.SetWriteDeadline(time.Time{}) //nolint:errcheck // an error shows in the next use
	if kernel, ok := c.net.(*kernelConn); ok {
		_, err := kernel.writeBuffers(bufs)
		return err
	}
	_, err := bufs.WriteTo(c.net)
	return err
}

// close closes the connection, at which its reader ends.
func (c *workerConn) close() {
	c.unwatch()
	_ = c.net.Close() // what was sent is gone; there is nobody to tell
}
