package fleet

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPHPTimeout has jobs run for longer than they may, in a sleep and in a
// loop: the client is told, and another process does the next job. A php without
// alarms cannot end them by itself.
func TestPHPTimeout(t *testing.T) {
	t.Parallel()
	deaf := phpSetup{name: "without alarms", ini: "php_args = -d disable_functions=pcntl_fork,pcntl_alarm\n"}
	for _, setup := range append(phpKinds(), deaf) {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = conduct\ntimeout = 1\n")
			f.waitAll("conduct", 1)
			for _, code := range []string{`sleep(20);`, `for (;;) { shell_exec('sleep 0.1'); }`} {
				before, err := f.do("conduct", "return getmypid();")
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				said := f.trace("conduct", code)
				took := time.Since(began)
				if last := said[len(said)-1]; !strings.HasPrefix(last, "exception ") || took > 15*time.Second {
					t.Errorf("%s: the client was told %q after %v, want an exception after 1 s", code, said, took)
				} else {
					t.Logf("%s: %v: %s", code, took, last)
				}
				f.waitLog("reason=timeout")
				if after, err := f.do("conduct", "return getmypid();"); err != nil || after == before {
					t.Errorf("afterwards: process %q, %v; want another than %s", after, err, before)
				}
			}
			f.stopPHP()
		})
	}
}

// TestPHPMaxRuns has each worker leave after some jobs, and counts those.
func TestPHPMaxRuns(t *testing.T) {
	t.Parallel()
	const runs, jobs = 50, 1000
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = nap\ndedicated_count = 2\nmax_runs_per_worker = 50\nverbose = 1\n")
			f.waitRegisteredAtLeast("nap", 2)
			counts := f.countJobs(jobs)
			total, exact := 0, 0
			for pid, n := range counts {
				total += n
				if n > runs {
					t.Errorf("process %s did %d jobs, %d are allowed", pid, n, runs)
				}
				if n == runs {
					exact++
				}
			}
			if total != jobs || exact < jobs/runs-2 {
				t.Errorf("%d jobs were done by %d processes, %d of which did %d: %v", total, len(counts), exact, runs, counts)
			}
			f.stopPHP()
		})
	}
}

// countJobs has jobs done, 10 at a time, and counts them by the process that
// did them.
func (f *phpFleet) countJobs(n int) map[string]int {
	f.tb.Helper()
	counts := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range n / 10 {
				pid, err := f.do("nap", "0")
				if err != nil {
					f.tb.Errorf("nap: %v", err)
				}
				mu.Lock()
				counts[pid]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return counts
}
