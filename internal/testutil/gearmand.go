package testutil

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Need finds a program that a test needs, also in the places where daemons
// are, or skips the test. Where CI is set the test fails instead: there
// everything has to be installed. pkg is Debian's package of it.
func Need(tb testing.TB, program, pkg string) string {
	tb.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		tb.Fatalf("%s is not installed, and CI is set (Debian: %s)", program, pkg)
	}
	tb.Skipf("%s is not installed (Debian: %s)", program, pkg)
	return ""
}

// Gearmand is a gearmand of the test.
type Gearmand struct {
	Host, Port string
	cmd        *exec.Cmd
	exited     chan struct{}
}

// Addr is host:port.
func (g *Gearmand) Addr() string { return net.JoinHostPort(g.Host, g.Port) }

// PID is its process.
func (g *Gearmand) PID() int { return g.cmd.Process.Pid }

// StartGearmand starts Debian's gearmand on a free port of 127.0.0.1 and stops
// it, by its pid, with the test. Without gearmand it does what [Need] does. args
// are further arguments of it. Somebody else may take the port between its choice
// and its use, so a start that fails is tried again.
func StartGearmand(tb testing.TB, args ...string) *Gearmand {
	tb.Helper()
	path := Need(tb, "gearmand", "gearman-job-server")
	for range 5 {
		if g := tryGearmand(tb, path, FreePort(tb), args); g != nil {
			return g
		}
	}
	tb.Fatal("gearmand did not start")
	return nil
}

// StartGearmandAt is StartGearmand on a port that is known, for a server that
// comes back.
func StartGearmandAt(tb testing.TB, port string, args ...string) *Gearmand {
	tb.Helper()
	g := tryGearmand(tb, Need(tb, "gearmand", "gearman-job-server"), port, args)
	if g == nil {
		tb.Fatalf("gearmand did not start on port %s", port)
	}
	return g
}

func tryGearmand(tb testing.TB, path, port string, args []string) *Gearmand {
	tb.Helper()
	dir := tb.TempDir()
	all := append([]string{
		"--listen", "127.0.0.1", "--port", port,
		"--log-file", filepath.Join(dir, "log"), "--pid-file", filepath.Join(dir, "pid"),
	}, args...)
	if os.Getuid() == 0 {
		all = append(all, "--user", "root")
	}
	g := &Gearmand{"127.0.0.1", port, exec.Command(path, all...), make(chan struct{})}
	if err := g.cmd.Start(); err != nil {
		tb.Fatalf("start gearmand: %v", err)
	}
	go func() { // ends with gearmand
		_ = g.cmd.Wait()
		close(g.exited)
	}()
	tb.Cleanup(g.Kill)
	for {
		conn, err := net.Dial("tcp", g.Addr())
		if err == nil {
			_ = conn.Close()
			return g
		}
		select {
		case <-g.exited:
			return nil
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Kill kills the server and waits until it is gone.
func (g *Gearmand) Kill() {
	_ = g.cmd.Process.Kill() // it may be gone already
	<-g.exited
}

// FreePort is a port of 127.0.0.1 on which nobody listened a moment ago.
func FreePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("address %v is not TCP", l.Addr())
	}
	return fmt.Sprint(addr.Port)
}
