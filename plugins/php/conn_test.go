package php

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// pair is a connection and its other end.
func pair(t *testing.T) (*conn, *net.UnixConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	theirs, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	sock, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConn(sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.close()
		_ = theirs.Close()
	})
	return c, theirs
}

func TestThePeerIsWhoTheKernelSays(t *testing.T) {
	t.Parallel()
	c, _ := pair(t)
	if c.peer != os.Getpid() {
		t.Errorf("process %d", c.peer)
	}
}

// TestALineLiesInTheSocket reads without waiting what has been sent.
func TestALineLiesInTheSocket(t *testing.T) {
	t.Parallel()
	c, theirs := pair(t)
	if err := c.send([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	raw, err := theirs.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var (
		buf [16]byte
		n   int
	)
	if errC := raw.Control(func(fd uintptr) { n, err = syscall.Read(int(fd), buf[:]) }); errC != nil || err != nil || string(buf[:n]) != "hello\n" {
		t.Errorf("%q, %v, %v", buf[:n], err, errC)
	}
}

// TestABusyPeer sends to one that does not read until no more is taken. Then it
// reads, and finds all of it, in order, and the end.
func TestABusyPeer(t *testing.T) {
	t.Parallel()
	c, theirs := pair(t)
	line := func(i int) string { return fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%5000)) }
	sent, size := 0, 0
	for ; ; sent++ {
		err := c.send([]byte(line(sent)))
		if errors.Is(err, ErrBacklog) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		size += len(line(sent))
	}
	if size < maxBacklog-5000 || size > maxBacklog+4<<20 {
		t.Errorf("%d bytes wait", size)
	}
	c.finish()
	if err := c.send([]byte("late\n")); !errors.Is(err, errFinished) {
		t.Errorf("sent after the end: %v", err)
	}
	in := bufio.NewReader(theirs)
	for i := range sent {
		got, err := in.ReadString('\n')
		if err != nil || got != line(i) {
			t.Fatalf("line %d: %.20q, %v", i, got, err)
		}
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("there is more")
	}
	if _, err := theirs.Write([]byte("still here\n")); err != nil {
		t.Errorf("what it says after the end: %v", err)
	}
	if got, err := c.in.next(); err != nil || string(got) != "still here" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestALargeLine is larger than the backlog, and alone.
func TestALargeLine(t *testing.T) {
	t.Parallel()
	c, theirs := pair(t)
	large := bytes.Repeat([]byte("r"), maxBacklog+4<<20)
	if err := c.send(large); err != nil {
		t.Fatal(err)
	}
	if err := c.send([]byte("x")); !errors.Is(err, ErrBacklog) {
		t.Errorf("one more: %v", err)
	}
	if got, err := io.ReadAll(io.LimitReader(theirs, int64(len(large)))); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestManySenders(t *testing.T) {
	t.Parallel()
	const senders, each = 8, 400
	c, theirs := pair(t)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if err := c.send(fmt.Appendf(nil, "%d %d %s\n", s, i, strings.Repeat("x", 300))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := make([]int, senders)
	in := bufio.NewReader(theirs)
	for range senders * each {
		text, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var s, i int
		if _, err := fmt.Sscanf(text, "%d %d", &s, &i); err != nil || i != next[s] {
			t.Fatalf("%.20q: want number %d, %v", text, next[s], err)
		}
		next[s]++
	}
	wg.Wait()
}

func TestAPeerThatIsGone(t *testing.T) {
	t.Parallel()
	c, theirs := pair(t)
	for c.send(bytes.Repeat([]byte("q"), 4096)) == nil && !c.isFlushing() {
	}
	_ = theirs.Close()
	testutil.WaitFor(t, "the end of the backlog", func() bool { return !c.isFlushing() })
	if err := c.send([]byte("x\n")); err == nil {
		t.Error("sent to nobody")
	}
	c.finish()
	c.close()
	c.close()
	if err := c.send([]byte("x\n")); err == nil {
		t.Error("sent after close")
	}
}

func (c *conn) isFlushing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushing
}
