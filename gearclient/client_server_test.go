package gearclient_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/jobserver"
)

// patience bounds every wait for a real server; it is never reached in a test
// that passes.
const patience = 30 * time.Second

// realServer is a job server under test and the way to kill it.
type realServer struct {
	addr string
	kill func()
}

// onServers runs a test against the embedded job server and, where it is
// installed, against gearmand.
func onServers(t *testing.T, test func(t *testing.T, s realServer)) {
	t.Helper()
	for name, start := range map[string]func(*testing.T) realServer{
		"embedded": startEmbedded,
		"gearmand": startGearmand,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func startEmbedded(t *testing.T) realServer {
	t.Helper()
	s, err := jobserver.New(jobserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(kill)
	return realServer{s.Addr(), kill}
}

// startGearmand starts gearmand on a free port, or skips the test without it;
// where CI is set it has to be there. The port may be taken between its choice
// and its use, so a start that fails is tried again.
func startGearmand(t *testing.T) realServer {
	t.Helper()
	path, err := exec.LookPath("/usr/sbin/gearmand")
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal("gearmand is not installed, and CI is set")
	case err != nil:
		t.Skip("gearmand is not installed (Debian: gearman-job-server)")
	}
	for range 5 {
		if s, ok := tryGearmand(t, path); ok {
			return s
		}
	}
	t.Fatal("gearmand does not start")
	return realServer{}
}

func tryGearmand(t *testing.T, path string) (realServer, bool) {
	t.Helper()
	addr := closedPort(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--listen=127.0.0.1", "--port="+port, "--log-file=stderr", "--threads=2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	kill := func() {
		_ = cmd.Process.Kill()
		<-exited
	}
	if !answers(addr, exited) {
		kill()
		return realServer{}, false
	}
	t.Cleanup(kill)
	return realServer{addr, kill}, true
}

// answers waits until something listens on addr, or the process has exited.
func answers(addr string, exited <-chan struct{}) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-exited:
			return false
		case <-tick.C:
		}
	}
	return false
}
