package control

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
)

// limitListener accepts no more connections than it has room for. Where there is none,
// the connection goes that has been there longest without a request: peers that only
// hold theirs keep nobody out. Those who may not ask have room of their own.
type limitListener struct {
	*net.UnixListener

	access    access
	most      int
	strangers int

	mu     sync.Mutex
	conns  map[*limitedConn]struct{} // nil when it is closed
	number uint64                    // of connections so far
	room   chan struct{}             // closed when there may be some
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
			<-wait
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
	switch {
	case l.conns == nil:
		return nil, false
	case c.stranger && l.count(true) >= l.strangers:
		return nil, false
	case !c.stranger && l.count(false) >= l.most && !l.evict():
		return l.room, false
	}
	l.number++
	c.number = l.number
	l.conns[c] = struct{}{}
	return nil, true
}

// count is how many there are, of strangers or of others. It is called with the lock, as
// are the methods below it.
func (l *limitListener) count(strangers bool) (n int) {
	for c := range l.conns {
		if c.stranger == strangers {
			n++
		}
	}
	return n
}

// evict closes the connection that has been there longest without a request.
func (l *limitListener) evict() bool {
	var idle []*limitedConn
	for c := range l.conns {
		if !c.stranger && c.busy == 0 {
			idle = append(idle, c)
		}
	}
	if len(idle) == 0 {
		return false
	}
	oldest := slices.MinFunc(idle, func(a, b *limitedConn) int { return cmp.Compare(a.number, b.number) })
	delete(l.conns, oldest)
	_ = oldest.UnixConn.Close() // whoever has it was too slow
	return true
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
	number   uint64
	busy     int // requests that are being done; guarded by the listener's lock
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

// begin says that a request is being done, until the function that it returns is called.
func (c *limitedConn) begin() func() {
	c.work(1)
	return func() { c.work(-1) }
}

func (c *limitedConn) work(n int) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.busy += n
	if c.busy == 0 {
		c.of.signal()
	}
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

// beginRequest says that the connection of a context does something.
func beginRequest(ctx context.Context) (end func()) {
	if c, ok := ctx.Value(connKey{}).(*limitedConn); ok {
		return c.begin()
	}
	return func() {}
}
