package fleet

import (
	"strconv"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// TestPHPTwoServers has one worker serve two job servers, one of which goes and
// comes back.
func TestPHPTwoServers(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			other := testutil.StartGearmand(t)
			f.startPHP(setup, "host[] = "+f.server.Addr()+"\nhost[] = "+other.Addr()+"\nworker_dir = PHP/workers\ninclude = nap\n")
			f.waitAll("nap", 1)
			pid := strconv.Itoa(f.phpWorkers()["nap/1"])
			f.wantPHP("nap", "0", pid)
			f.wantOn(other, "nap", "0", pid)
			other.Kill()
			for range 20 {
				f.wantPHP("nap", "0", pid)
			}
			f.wantOn(testutil.StartGearmandAt(t, other.Port), "nap", "0", pid)
			f.wantPHP("nap", "0", pid)
			f.stopPHP()
		})
	}
}

// wantOn is wantPHP on another server, on which the worker may not have
// registered yet.
func (f *phpFleet) wantOn(server *testutil.Gearmand, function, workload, want string) {
	f.tb.Helper()
	client := jobtest.NewClient(f.tb, server.Addr())
	got, err := client.Do(f.ctx(), gearclient.Request{Function: function, Workload: []byte(workload)})
	if err != nil || string(got) != want {
		f.tb.Errorf("%s on %s: %q, %v, want %q", function, server.Addr(), got, err, want)
	}
}
