package testutil

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Gearmand is a gearmand of the test.
//
// A test that also has a supervisor in its process, whose reaper collects every
// child, starts its gearmand before that and has it killed after: what is
// started first is killed last.
type Gearmand struct {
	Host, Port string
	cmd        *exec.Cmd
	exited     chan struct{}
}

// Addr is host:port.
func (g *Gearmand) Addr() string { return net.JoinHostPort(g.Host, g.Port) }

// PID is its process.
func (g *Gearmand) PID() int { return g.cmd.Process.Pid }

// StartGearmand starts Debian's gearmand on a free port of 127.0.0.1 and kills
// it, by its pid, with the test. It returns when clients can connect. Without
// gearmand it does what [Need] does. args are further arguments of it. Somebody
// else may take the port between its choice and its use, so a start that fails is
// tried again.
func StartGearmand(tb testing.TB, args ...string) *Gearmand {
	tb.Helper()
	path := needGearmand(tb)
	for range 5 {
		if g := tryGearmand(tb, path, FreePort(tb), args); g != nil {
			return g
		}
	}
	tb.Fatal("gearmand did not start")
	return nil
}

// StartGearmandAt is [StartGearmand] on a port that is known, for a server that
// comes late or comes back.
func StartGearmandAt(tb testing.TB, port string, args ...string) *Gearmand {
	tb.Helper()
	g := tryGearmand(tb, needGearmand(tb), port, args)
	if g == nil {
		tb.Fatalf("gearmand did not start on port %s", port)
	}
	return g
}

func needGearmand(tb testing.TB) string {
	tb.Helper()
	return Need(tb, "gearmand", "gearman-job-server")
}

// tryGearmand starts gearmand; nil if it ended instead of listening.
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
		defer close(g.exited)
		_ = g.cmd.Wait() // killed; or no child any more, where a reaper was faster
	}()
	tb.Cleanup(g.Kill)
	if !g.awaitListening(tb) {
		return nil
	}
	return g
}

// awaitListening waits until gearmand listens; false if it has ended.
func (g *Gearmand) awaitListening(tb testing.TB) bool {
	tb.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(Patience)
	for !listens(g.PID(), g.Port) {
		select {
		case <-g.exited:
			return false
		case <-late:
			tb.Fatalf("gearmand did not listen on %s within %v", g.Addr(), Patience)
		case <-tick.C:
		}
	}
	return true
}

// Kill kills the server and waits until it is gone. It may be called again.
func (g *Gearmand) Kill() {
	_ = g.cmd.Process.Kill() // it may be gone already
	<-g.exited
}
