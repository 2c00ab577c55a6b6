package php

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// acceptPause is how long the listener waits after an accept that failed, usually
// for want of descriptors.
const acceptPause = 20 * time.Millisecond

// Whom a process is expected as. All have ids of their own.
func parentKey(id string) string { return "parent " + id }
func workerKey(id string) string { return "worker " + id }

// arrival is a process that has connected.
type arrival struct {
	conn   *conn
	parent *greeting // of a parent
	err    error     // why it is not whom it says it is
}

// listener lets those in who are expected. Its goroutines end with close.
type listener struct {
	sock    *net.UnixListener
	timeout time.Duration // for an introduction
	quit    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	expected map[string]chan arrival // each takes one
	strange  map[*net.UnixConn]struct{}
}

func listen(path string, timeout time.Duration) (*listener, error) {
	sock, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for php processes: %w", err)
	}
	l := &listener{
		sock: sock, timeout: timeout, quit: make(chan struct{}),
		expected: map[string]chan arrival{}, strange: map[*net.UnixConn]struct{}{},
	}
	l.running.Go(l.accept)
	return l, nil
}

// expect returns where the process of that key arrives. It is followed by withdraw.
func (l *listener) expect(key string) <-chan arrival {
	ch := make(chan arrival, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected[key] = ch
	return ch
}

// withdraw ends an expectation. One that has arrived and was not received is sent
// away.
func (l *listener) withdraw(key string, ch <-chan arrival) {
	l.mu.Lock()
	delete(l.expected, key)
	l.mu.Unlock()
	select {
	case a := <-ch:
		a.conn.close()
	default:
	}
}

// close ends the listening and what has not introduced itself, and removes the
// socket. It returns when nothing of it runs.
func (l *listener) close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.quit)
	err := l.sock.Close()
	for sock := range l.strange {
		_ = sock.Close() // closed is closed
	}
	l.mu.Unlock()
	l.running.Wait()
	if err != nil {
		return fmt.Errorf("close socket of php: %w", err)
	}
	return nil
}

func (l *listener) accept() {
	for {
		sock, err := l.sock.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			l.pause()
		case l.meet(sock):
			l.running.Go(func() { l.ask(sock) })
		default:
			_ = sock.Close() // nobody is let in any more
		}
	}
}

func (l *listener) pause() {
	timer := time.NewTimer(acceptPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.quit:
	}
}

// meet notes a connection that has not introduced itself.
func (l *listener) meet(sock *net.UnixConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.strange[sock] = struct{}{}
	return true
}

// ask waits for the introduction, and hands the connection to who expects it.
func (l *listener) ask(sock *net.UnixConn) {
	key, a, err := l.introduce(sock)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.strange, sock)
	ch, ok := l.expected[key]
	if err != nil || l.closed || !ok {
		_ = sock.Close() // nobody knows it
		return
	}
	delete(l.expected, key)
	ch <- a
}

func (l *listener) introduce(sock *net.UnixConn) (key string, a arrival, err error) {
	c, err := newConn(sock)
	if err != nil {
		return "", arrival{}, err
	}
	c.lastRead(l.timeout)
	line, err := c.in.next()
	if err != nil {
		return "", arrival{}, err
	}
	intro, err := decode[introduction](line)
	if err != nil {
		return "", arrival{}, err
	}
	if err := sock.SetReadDeadline(time.Time{}); err != nil {
		return "", arrival{}, err
	}
	c.in.max = maxLine
	key, pid := workerKey(intro.ID), intro.PID
	if intro.Parent != nil {
		key, pid = parentKey(intro.Parent.ID), intro.Parent.PID
	}
	a = arrival{conn: c, parent: intro.Parent}
	if pid != c.peer {
		a.err = &ProtocolError{Reason: fmt.Sprintf("it says that it is process %d, but is process %d", pid, c.peer)}
	}
	return key, a, nil
}
