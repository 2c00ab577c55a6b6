package conformance

import (
	"os"
	"strconv"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
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
	return embeddedServer{jobtest.StartJobServer(tb, conf)}
}

type embeddedServer struct{ s *jobserver.Server }

func (e embeddedServer) addr() string { return e.s.Addr() }
func (e embeddedServer) pid() int     { return os.Getpid() }

// startGearmand starts Debian's server.
func startGearmand(tb testing.TB, o options) server {
	tb.Helper()
	args := []string{"-t", "4", "-j", strconv.Itoa(o.retries), "-w", strconv.Itoa(o.wakeup)}
	if !o.defaultPrefix {
		args = append(args, "--job-handle-prefix", prefix)
	}
	if o.roundRobin {
		args = append(args, "-R")
	}
	if o.exceptions {
		args = append(args, "--exceptions")
	}
	return gearmandServer{testutil.StartGearmand(tb, args...)}
}

type gearmandServer struct{ g *testutil.Gearmand }

func (g gearmandServer) addr() string { return g.g.Addr() }
func (g gearmandServer) pid() int     { return g.g.PID() }
