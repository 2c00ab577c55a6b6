package fleet

import (
	"fmt"
	"testing"
	"time"
)

// TestBadJobsOneByOne sends 40 bad jobs into an idle fleet of 50 workers.
func TestBadJobsOneByOne(t *testing.T) {
	jobs, workers := 40, 50
	if testing.Short() {
		jobs, workers = 10, 15
	}
	for _, k := range lifeKinds() {
		t.Run(k.name, func(t *testing.T) {
			f := newLife(t, k.name)
			f.startKind(k, "", fmt.Sprintf("dedicated_count = %d\n", workers))
			took := f.waitRegistered(map[string]int{"act": workers})
			t.Logf("%d workers registered after %v", workers, took)
			began := time.Now()
			fourth := 0
			for i := range jobs {
				name := fmt.Sprintf("bad-%d", i)
				text, _, err := f.act(k.deadly[0], f.newNotes(name))
				f.wantException(name, text, err)
				fourth += len(f.newNotes(name).wantRuns(t, 3, 4)) - 3
			}
			t.Logf("%d bad jobs in %v; %d of them ran 4 times", jobs, time.Since(began), fourth)
			if got := len(f.quarantined()); got != jobs {
				t.Errorf("%d jobs in quarantine, want %d", got, jobs)
			}
			f.waitRegistered(map[string]int{"act": workers})
			f.wantEmpty()
			if p := f.pool("act"); p.GivenUp || p.Failures != 0 {
				t.Errorf("the pool has %d failures, given up %v: a bad job is none of its start", p.Failures, p.GivenUp)
			}
			f.stopLife()
		})
	}
}
