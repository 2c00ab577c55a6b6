package php

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxBacklog is how many bytes wait for a peer that does not read.
const maxBacklog = 8 << 20

// errFinished is for what is sent after the last line.
var errFinished = errors.New("connection is closed")

// conn is the connection to a php process. Lines are read by one goroutine, and sent
// by any: send does not wait for the peer.
type conn struct {
	sock *net.UnixConn
	raw  syscall.RawConn
	in   *lineReader
	peer int // the process that connected, as the kernel says

	mu       sync.Mutex
	backlog  []byte // what the socket did not take
	writing  int    // bytes of it that are being written
	flushing bool   // a goroutine writes the backlog
	finished bool   // nothing is sent any more
}

func newConn(sock *net.UnixConn) (*conn, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("use connection of php: %w", err)
	}
	c := &conn{sock: sock, raw: raw, in: newLineReader(sock, maxFirst)}
	if c.peer, err = peer(raw); err != nil {
		return nil, err
	}
	return c, nil
}

// peer asks the kernel who has connected. Other users do not get as far as this;
// they are refused all the same.
func peer(raw syscall.RawConn) (pid int, err error) {
	var (
		cred *unix.Ucred
		errC error
	)
	errC = raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(errC, err); err != nil {
		return 0, fmt.Errorf("look at the peer of php's socket: %w", err)
	}
	if uid := os.Geteuid(); int(cred.Uid) != uid {
		return 0, fmt.Errorf("look at the peer of php's socket: it is user %d, want %d", cred.Uid, uid)
	}
	return int(cred.Pid), nil
}

// send sends a line, whose end is included. When it returns, the line lies in the
// peer's socket, or, if that is full, in the backlog: then a goroutine writes it,
// which ends with the backlog or with the connection.
func (c *conn) send(line []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.finished:
		return errFinished
	case c.flushing && len(c.backlog)+c.writing+len(line) > maxBacklog:
		return ErrBacklog
	case !c.flushing:
		n, err := c.try(line)
		if err != nil {
			c.finished = true
			return err
		}
		line = line[n:]
	}
	if len(line) == 0 {
		return nil
	}
	c.backlog = append(c.backlog, line...)
	if !c.flushing {
		c.flushing = true
		go c.flush()
	}
	return nil
}

// try writes as much as the socket takes at once.
func (c *conn) try(line []byte) (n int, err error) {
	errC := c.raw.Write(func(fd uintptr) bool {
		for {
			n, err = unix.SendmsgN(int(fd), line, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if !errors.Is(err, unix.EINTR) {
				return true
			}
		}
	})
	switch {
	case errC != nil:
		return 0, fmt.Errorf("write to php: %w", errC)
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("write to php: %w", err)
	}
	return n, nil
}

// flush writes the backlog until there is none.
func (c *conn) flush() {
	for {
		c.mu.Lock()
		text := c.backlog
		c.backlog, c.writing = nil, len(text)
		if len(text) == 0 {
			c.flushing = false
			if c.finished {
				_ = c.sock.CloseWrite() // one that is gone reads its end anyway
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if _, err := c.sock.Write(text); err != nil {
			c.mu.Lock()
			c.flushing, c.finished, c.writing, c.backlog = false, true, 0, nil
			c.mu.Unlock()
			return
		}
	}
}

// finish is the end of what is sent: the peer reads it after the backlog. What it
// sends still arrives.
func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		return
	}
	c.finished = true
	if !c.flushing {
		_ = c.sock.CloseWrite() // as above
	}
}

// lastRead bounds the reading from now on.
func (c *conn) lastRead(after time.Duration) {
	_ = c.sock.SetReadDeadline(time.Now().Add(after)) // fails only if it is closed
}

// close ends all reading and writing. It may be called again.
func (c *conn) close() {
	_ = c.sock.Close() // only says that it was closed before
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
}
