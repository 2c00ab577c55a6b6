package testutil

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGearmandOfAReaper has another collect the process first, as a supervisor
// in the test process may.
func TestGearmandOfAReaper(t *testing.T) {
	g := StartGearmand(t)
	if err := syscall.Kill(g.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err := syscall.Wait4(g.PID(), nil, 0, nil)
	if err != nil && !errors.Is(err, syscall.ECHILD) { // the one or the other has it
		t.Error(err)
	}
	Receive(t, "the end", g.exited)
	g.Kill()
}

// TestOnlyTheListenerListens tells a server from another process, and from a
// connection of its own.
func TestOnlyTheListenerListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	_, local, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	if !listens(os.Getpid(), port) || listens(os.Getppid(), port) || listens(os.Getpid(), local) {
		t.Error("want this process and the listener's port, and no other")
	}
	_ = l.Close()
	if listens(os.Getpid(), port) {
		t.Error("listens after the end")
	}
}
