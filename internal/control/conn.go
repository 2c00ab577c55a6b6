package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// limitListener accepts no more connections than it has room for. Where there is none,
// others wait until one is closed, or until one can be closed at which nothing happens:
// peers that only hold theirs keep nobody out, and whoever has sent a request is not
// closed in favour of somebody else. Those who may not ask have room of their own.
type limitListener struct {
	*net.UnixListener

	access    access
	most      int
	strangers int

	mu    sync.Mutex
	conns map[*limitedConn]struct{} // nil when it is closed
	room  chan struct{}             // closed when there may be some
}

func newLimitListener(l *net.UnixListener, a access, most, strangers int) *limitListener {
	return &limitListener{
		UnixListener: l, access: a, most: most, strangers: strangers, conns: map[*limitedConn]struct{}{}, room: make(chan struct{}),
	}
}

// Accept blocks until there is a connection, and room for it.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		unixConn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer := peerOf(unixConn)
		c := &limitedConn{UnixConn: unixConn, of: l, peer: peer, stranger: !l.access.allows(peer)}
		for {
			wait, taken := l.take(c)
			if taken {
				return c, nil
			}
			if wait == nil {
				break
			}
			select {
			case <-wait:
			case <-time.After(roomPoll): // somebody may have been silent for long enough
			}
		}
		if err := unixConn.Close(); l.closed() {
			return nil, errors.Join(net.ErrClosed, err)
		}
	}
}

// take takes a connection. If there is no room, wait is closed when there may be some;
// it is nil if the connection is to be closed.
func (l *limitListener) take(c *limitedConn) (wait chan struct{}, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case l.conns == nil:
		return nil, false
	case c.stranger && l.count(true) >= l.strangers:
		return nil, false
	case !c.stranger && l.count(false) >= l.most && !l.evict(now):
		return l.room, false
	}
	c.since = now
	l.conns[c] = struct{}{}
	return nil, true
}

// count is how many there are, of strangers or of others. It is called with the lock, as
// is evict.
func (l *limitListener) count(strangers bool) (n int) {
	for c := range l.conns {
		if c.stranger == strangers {
			n++
		}
	}
	return n
}

// evict closes the connection at which nothing has happened for longest.
func (l *limitListener) evict(now time.Time) bool {
	var oldest *limitedConn
	for c := range l.conns {
		if !c.stranger && (oldest == nil || c.since.Before(oldest.since)) && c.mayGo(now) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	delete(l.conns, oldest)
	_ = oldest.UnixConn.Close() // whoever has it was too slow
	return true
}

// crowded tells whether so many are there that connections should be kept for one request
// only: whoever has another one waits for a turn as others do.
func (l *limitListener) crowded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count(false) > l.most/2
}

func (l *limitListener) signal() {
	close(l.room)
	l.room = make(chan struct{})
}

func (l *limitListener) closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns == nil
}

// closeAll closes all connections, and those to come.
func (l *limitListener) closeAll() {
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.signal()
	l.mu.Unlock()
	for c := range conns {
		_ = c.UnixConn.Close() // what is in them is of no use any more
	}
}

// limitedConn makes room when it is closed.
type limitedConn struct {
	*net.UnixConn

	of       *limitListener
	peer     Peer
	stranger bool
	heard    bool        // something was read; of the one who reads
	reading  atomic.Bool // all that was read was not enough

	does  phase     // guarded by the listener's lock
	since time.Time // when that began; guarded by it
}

// phase is what is done for a connection.
type phase int

const (
	waiting   phase = iota // for a request
	asking                 // the fleet, or streaming
	answering              // the peer may be slow to read
)

// errNoHTTP is that a peer does not speak HTTP.
var errNoHTTP = errors.New("no HTTP request")

// Read reads. It fails as soon as it is plain that no request comes.
func (c *limitedConn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	n, err := c.UnixConn.Read(p)
	c.reading.Store(false)
	if n == 0 || c.heard {
		return n, err
	}
	c.heard = true
	if p[0] < 'A' || p[0] > 'Z' { // every method begins with one
		return 0, errNoHTTP
	}
	return n, err
}

// CloseWrite is called by the server of HTTP when it has answered a request that it does
// not read to its end. It would then wait for a while before it closes the connection, so
// that what it has written is not lost, as it would be with TCP. With a unix socket the
// peer can read it all the same, so that the connection can be closed now.
func (c *limitedConn) CloseWrite() error {
	panic(http.ErrAbortHandler) // the only way past the wait; the server ends the connection without a word
}

// mayGo tells whether a connection may be closed in favour of another one: its peer was
// given time for a request, and all that it has sent was read and is none, or it has
// not read its answer for a long time. It is called with the listener's lock.
func (c *limitedConn) mayGo(now time.Time) bool {
	lasts := now.Sub(c.since)
	switch {
	case c.does == asking || lasts < patience:
		return false
	case lasts >= longPatience:
		return true
	}
	return c.does == waiting && c.reading.Load() && !c.hasUnread()
}

// hasUnread tells whether the peer has sent something that was not read yet.
func (c *limitedConn) hasUnread() (has bool) {
	c.raw(func(fd int) {
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		has = err == nil && n > 0
	})
	return has
}

// abandoned tells whether the peer has closed its side, and can read no answer.
func (c *limitedConn) abandoned() (gone bool) {
	c.raw(func(fd int) {
		poll := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // descriptors are small numbers
		n, err := unix.Poll(poll, 0)
		gone = err == nil && n > 0 && poll[0].Revents&unix.POLLHUP != 0
	})
	return gone
}

// raw does something with the descriptor, if it is not closed.
func (c *limitedConn) raw(do func(fd int)) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // it fails if it is closed
	}
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	defer c.left()
	return c.UnixConn.Close()
}

// left is called when the connection is closed, once or more.
func (c *limitedConn) left() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if _, open := c.of.conns[c]; open {
		delete(c.of.conns, c)
		c.of.signal()
	}
}

// begin says what is done now.
func (c *limitedConn) begin(does phase) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.does = does
	c.since = time.Now()
}

// connKey is the key of a connection in its context.
type connKey struct{}

// connContext puts a connection into its context.
func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// peerFrom returns who asks.
func peerFrom(ctx context.Context) Peer {
	switch c := ctx.Value(connKey{}).(type) {
	case *limitedConn:
		return c.peer
	case Peer: // of a test
		return c
	default:
		return Peer{UID: nobody, GID: nobody}
	}
}

// begin says what is done now for the connection of a context.
func begin(ctx context.Context, does phase) {
	if c, ok := ctx.Value(connKey{}).(*limitedConn); ok {
		c.begin(does)
	}
}

// crowded tells whether the connection of a context should be closed after its answer.
func crowded(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*limitedConn)
	return ok && c.of.crowded()
}

// abandoned tells whether nobody is there to read an answer.
func abandoned(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*limitedConn)
	return ok && c.abandoned()
}
