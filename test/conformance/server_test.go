package conformance

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/jobserver"
)

// prefix begins the handles of both servers, so that they are equal.
const prefix = "H"

// server is a job server under test.
type server interface {
	addr() string
	pid() int
}

// startEmbedded starts the embedded server.
func startEmbedded(tb testing.TB, o options) server {
	tb.Helper()
	conf := jobserver.Config{
		JobRetries: o.retries, WorkerWakeup: o.wakeup, RoundRobin: o.roundRobin,
		Exceptions: o.exceptions, HandlePrefix: prefix,
	}
	if o.defaultPrefix {
		conf.HandlePrefix = ""
	}
	s, err := jobserver.New(conf)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			tb.Error(err)
		}
	})
	return embeddedServer{s}
}

type embeddedServer struct{ s *jobserver.Server }

func (e embeddedServer) addr() string { return e.s.Addr() }
func (e embeddedServer) pid() int     { return os.Getpid() }

// gearmandPath finds gearmand, or skips the test; where CI is set it has to be
// there.
func gearmandPath(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"gearmand", "/usr/sbin/gearmand"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		tb.Fatal("gearmand is not installed, and CI is set")
	}
	tb.Skip("gearmand is not installed (Debian: gearman-job-server)")
	return ""
}

// startGearmand starts gearmand on a free port and stops it with the test.
// Another process may take the port between its choice and its use, so a start
// that fails is tried again.
func startGearmand(tb testing.TB, path string, o options) server {
	tb.Helper()
	for range 5 {
		if g := tryGearmand(tb, path, o); g != nil {
			return g
		}
	}
	tb.Fatal("gearmand did not start")
	return nil
}

type gearmandServer struct {
	address string
	cmd     *exec.Cmd
	exited  chan struct{}
}

func (g *gearmandServer) addr() string { return g.address }
func (g *gearmandServer) pid() int     { return g.cmd.Process.Pid }

// tryGearmand starts gearmand once; nil if it ended at once.
func tryGearmand(tb testing.TB, path string, o options) server {
	tb.Helper()
	port := freePort(tb)
	dir := tb.TempDir()
	args := []string{
		"-L", "127.0.0.1", "-p", strconv.Itoa(port), "-t", "4",
		"-l", filepath.Join(dir, "log"), "-P", filepath.Join(dir, "pid"),
		"-j", strconv.Itoa(o.retries), "-w", strconv.Itoa(o.wakeup),
	}
	if os.Getuid() == 0 {
		args = append(args, "-u", "root")
	}
	if !o.defaultPrefix {
		args = append(args, "--job-handle-prefix", prefix)
	}
	if o.roundRobin {
		args = append(args, "-R")
	}
	if o.exceptions {
		args = append(args, "--exceptions")
	}
	g := &gearmandServer{net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), exec.Command(path, args...), make(chan struct{})}
	if err := g.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = g.cmd.Wait()
		close(g.exited)
	}()
	tb.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.exited
	})
	if g.listening() {
		return g
	}
	return nil
}

// listening waits until gearmand accepts connections.
func (g *gearmandServer) listening() bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if a, err := dial(g.address, "probe"); err == nil {
			defer func() { _ = a.nc.Close() }()
			return g.isOurs(a)
		}
		select {
		case <-g.exited:
			return false
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
}

// isOurs asks who listens on the port.
func (g *gearmandServer) isOurs(a *actor) bool {
	if err := a.hide(); err != nil {
		return false
	}
	_ = a.nc.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprint(a.nc, "getpid\r\n"); err != nil {
		return false
	}
	line, err := a.readLine()
	return err == nil && line == fmt.Sprintf("OK %d\n", g.pid())
}

// freePort picks a port that nobody listens on.
func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
