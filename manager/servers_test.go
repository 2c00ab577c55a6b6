package manager

import (
	"context"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
)

// onEachServer runs a test against the embedded job server and against Debian's.
// The tests of whole managers run one after the other: a process has one reaper.
func onEachServer(t *testing.T, body func(t *testing.T, addr string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { body(t, startEmbedded(t)) })
	t.Run("gearmand", func(t *testing.T) { body(t, startGearmand(t, freeAddr(t))) })
}

func startEmbedded(t *testing.T) string {
	t.Helper()
	addr := freeAddr(t)
	t.Cleanup(startServerAt(t, addr))
	return addr
}

// startServerAt starts an embedded job server at an address.
func startServerAt(t *testing.T, addr string) (stop func()) {
	t.Helper()
	s, err := jobserver.New(jobserver.Config{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
}

// freeAddr is an address that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// startGearmand starts Debian's job server at addr. It is started before any
// manager of the test and stopped after it, so that nobody reaps it in between.
func startGearmand(t *testing.T, addr string) string {
	t.Helper()
	const path = "/usr/sbin/gearmand"
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no gearmand: ", err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(path, "-L", "127.0.0.1", "-p", port, "-l", filepath.Join(t.TempDir(), "log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	poll(t, "gearmand listens", func() bool {
		c, err := net.Dial("tcp", addr)
		return err == nil && c.Close() == nil
	})
	return addr
}

func newClient(t *testing.T, addr string) *gearclient.Client {
	t.Helper()
	c, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newAdmin(t *testing.T, addr string) *gearclient.Admin {
	t.Helper()
	a, err := gearclient.NewAdmin(gearclient.AdminConfig{Server: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// poll waits until ok says so, for a generous time.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
