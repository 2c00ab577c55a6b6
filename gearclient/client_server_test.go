package gearclient_test

import (
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

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
	s := jobtest.StartJobServer(t, jobserver.Config{})
	return realServer{s.Addr(), func() { jobtest.StopJobServer(t, s) }}
}

func startGearmand(t *testing.T) realServer {
	t.Helper()
	g := testutil.StartGearmand(t, "--threads=2")
	return realServer{g.Addr(), g.Kill}
}
