package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// latencies performs jobs one after the other and returns how long each took, the
// shortest first.
func (f *fleet) latencies(function string, n int) []time.Duration {
	f.tb.Helper()
	client, ctx := jobtest.NewClient(f.tb, f.server.Addr()), f.ctx()
	var all []time.Duration
	for range n {
		began := time.Now()
		if _, err := client.Do(ctx, gearclient.Request{Function: function, Workload: []byte("0")}); err != nil {
			f.tb.Fatal(err)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all
}

// Functions whose workers cannot be started cost the others nothing. The ratio is the
// figure; its bound allows for a busy machine.
func TestHealthyBesideCrashLoops(t *testing.T) {
	const healthy = `
[GearmanManager]
host = SERVER
worker_dir = PLUGINS
include = sleep,broken,gone
[sleep]
dedicated_count = 4
dedicated_only = 1
`
	const broken = `
[broken]
command = /bin/false
mode = standalone
count = 20
[gone]
command = /bin/sh -c "sleep 0.3; exit 3"
mode = standalone
count = 20
`
	p99 := func(ini string, failing ...string) time.Duration {
		f := newFleet(t)
		f.start(ini)
		f.waitRegistered(map[string]int{"sleep": 4})
		for _, pool := range failing { // from the second failure on one tries for all
			testutil.WaitFor(t, pool+" fails again and again", func() bool {
				return strings.Count(f.log.String(), "start "+pool+"/") >= 43 // twice all of them, then one after the other
			})
		}
		all := f.latencies("sleep", 3000)
		f.cleanup()
		return all[len(all)*99/100]
	}
	var alone, beside []time.Duration
	for range 3 { // in turns, since the machine is not alike all the time
		alone = append(alone, p99(healthy))
		beside = append(beside, p99(healthy+broken, "broken", "gone"))
	}
	slices.Sort(alone)
	slices.Sort(beside)
	t.Logf("the 99th percentile of three runs: alone %v, beside 40 workers that cannot start %v", alone, beside)
	if beside[1] > 15*max(alone[1], time.Millisecond) {
		t.Errorf("%v beside crash loops, %v alone", beside[1], alone[1])
	}
}
