package manager

import (
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// onEachServer runs a test against the embedded job server and against Debian's.
// The tests of whole managers run one after the other: a process has one reaper.
// The server is started before any manager of the test and ends after it.
func onEachServer(t *testing.T, body func(t *testing.T, addr string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { body(t, startEmbedded(t)) })
	t.Run("gearmand", func(t *testing.T) { body(t, testutil.StartGearmand(t).Addr()) })
}

func startEmbedded(t *testing.T) string {
	t.Helper()
	return jobtest.StartJobServer(t, jobserver.Config{}).Addr()
}
