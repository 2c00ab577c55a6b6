package control

import (
	"context"
	"errors"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// limitListener accepts no more connections than it has tokens, and knows those that
// are open.
type limitListener struct {
	*net.UnixListener

	tokens chan struct{}
	over   chan struct{} // closed by closeAll

	mu    sync.Mutex
	conns map[*limitedConn]struct{} // nil afterwards
}

func newLimitListener(l *net.UnixListener, most int) *limitListener {
	return &limitListener{
		UnixListener: l, tokens: make(chan struct{}, most), over: make(chan struct{}), conns: map[*limitedConn]struct{}{},
	}
}

// Accept blocks until there is a connection, and room for it: others time out.
func (l *limitListener) Accept() (net.Conn, error) {
	unixConn, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	c := &limitedConn{UnixConn: unixConn, of: l}
	select {
	case l.tokens <- struct{}{}:
	case <-l.over:
		return nil, errors.Join(net.ErrClosed, unixConn.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		return nil, errors.Join(net.ErrClosed, unixConn.Close())
	}
	l.conns[c] = struct{}{}
	return c, nil
}

// closeAll closes all connections, and those to come.
func (l *limitListener) closeAll() {
	close(l.over)
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range conns {
		_ = c.UnixConn.Close() // what is in them is of no use any more
	}
}

// left is called when a connection is closed, once or more.
func (l *limitListener) left(c *limitedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.conns[c]; open {
		delete(l.conns, c)
		<-l.tokens
	}
}

// limitedConn gives its token back when it is closed.
type limitedConn struct {
	*net.UnixConn

	of *limitListener
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	defer c.of.left(c)
	return c.UnixConn.Close()
}

// peerKey is the key of the peer in a connection's context.
type peerKey struct{}

// nobody is a peer that the kernel does not name.
const nobody = -1

// peerOf asks the kernel who is at the other end.
func peerOf(c net.Conn) Peer {
	unknown := Peer{UID: nobody}
	limited, ok := c.(*limitedConn)
	if !ok {
		return unknown
	}
	raw, err := limited.SyscallConn()
	if err != nil {
		return unknown
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return unknown
	}
	return Peer{PID: int(cred.Pid), UID: int(cred.Uid)}
}

// peerFrom returns who asks.
func peerFrom(ctx context.Context) Peer {
	if peer, ok := ctx.Value(peerKey{}).(Peer); ok {
		return peer
	}
	return Peer{UID: nobody}
}
