package fleet

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// TestKindsRecycledWithoutADip is TestRecycledWithoutADip with PHP workers, with two
// functions of a shared pool, and with workers of two slots.
func TestKindsRecycledWithoutADip(t *testing.T) {
	jobs := 5000
	if testing.Short() {
		jobs = 1000
	}
	shared := "worker_dir = LIFE\ninclude = pid,alsopid\nmax_runs_per_worker = 100\ncount = 4\n"
	for _, c := range []struct {
		name, kind, ini string
		functions       []string
		most            int // slots that may be registered at a time
	}{
		{"php", "php", "worker_dir = PHP/life\ninclude = pid\nmax_runs_per_worker = 100\ndedicated_count = 4\n", []string{"pid"}, 5},
		{"shared plugin", "plugin", shared, []string{"pid", "alsopid"}, 5},
		{"shared php", "php", strings.Replace(shared, "LIFE", "PHP/life", 1), []string{"pid", "alsopid"}, 5},
		{"two slots", "plugin", "worker_dir = LIFE\ninclude = pid\nmax_runs_per_worker = 100\nconcurrency = 2\ndedicated_count = 4\n", []string{"pid"}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newLife(t, c.kind)
			f.startLife(c.ini)
			f.waitRegistered(registeredOf(c.functions, 4))
			stops := map[string]func() (int, int, int){}
			for _, function := range c.functions {
				stops[function] = f.watchRegistered(function)
			}
			byPID, took := f.loadAll(c.functions, "2", jobs, 50)
			for function, stop := range stops {
				fewest, most, _ := stop()
				t.Logf("%s: between %d and %d registered", function, fewest, most)
				if fewest < 4 || most > c.most {
					t.Errorf("%s: between %d and %d were registered, want 4 and %d", function, fewest, most, c.most)
				}
			}
			t.Logf("%d jobs in %v by %d workers", jobs, took, len(byPID))
			f.wantExact(byPID, 100, 4)
			f.stopLife()
		})
	}
}

// registeredOf wants the same number for each function.
func registeredOf(functions []string, n int) map[string]int {
	want := map[string]int{}
	for _, function := range functions {
		want[function] = n
	}
	return want
}

// loadAll is load with the jobs shared among functions.
func (f *lifeFleet) loadAll(functions []string, workload string, n, inFlight int) (byPID map[string]int, took time.Duration) {
	byPID = map[string]int{}
	var (
		mu  sync.Mutex
		all sync.WaitGroup
	)
	began := time.Now()
	for _, function := range functions {
		all.Go(func() {
			some, _ := f.load(function, workload, n/len(functions), inFlight/len(functions))
			mu.Lock()
			defer mu.Unlock()
			for pid, done := range some {
				byPID[pid] += done
			}
		})
	}
	all.Wait()
	return byPID, time.Since(began)
}

// TestExecutablesIgnoreMaxRuns: each is a process of its own anyway.
func TestExecutablesIgnoreMaxRuns(t *testing.T) {
	t.Parallel()
	f := newLife(t, "exec")
	f.startKind(lifeKindOf("exec"), "max_runs_per_worker = 5\n", "dedicated_count = 2\n")
	f.waitRegistered(map[string]int{"act": 2})
	before := f.pids("act")
	_, wait := f.goodJobs(100, 4)
	wait()
	if after := f.pids("act"); !maps.Equal(before, after) {
		t.Errorf("the workers were %v, and are %v", before, after)
	}
	f.stopLife()
}

// TestOldWorkersAreReplaced has workers of every kind live for two to three seconds,
// under load: no job fails, and there are never fewer than planned.
func TestOldWorkersAreReplaced(t *testing.T) {
	t.Parallel()
	needPecl(t) // for the standalone worker, which is PHP's own
	f := newLife(t, "php")
	f.startLife("worker_dir = LIFE,PHP/workers\ninclude = pid,nap,executable,alone\nmax_worker_lifetime = 2\nworker_restart_splay = 1\ndedicated_count = 2\n" +
		"[executable]\ncommand = sh -c 'sleep 0.01; echo $PPID'\n" +
		"[alone]\nmode = standalone\ncommand = php PHP/life/alone.inc\ncount = 2\n")
	loads := map[string]string{"pid": "5", "nap": "5", "executable": "", "alone": "5"}
	f.waitRegistered(registeredOf(slices.Collect(maps.Keys(loads)), 2))
	stops := map[string]func() (int, int, int){}
	for function := range loads {
		stops[function] = f.watchRegistered(function)
	}
	counts := f.loadFor(10*time.Second, loads)
	for function, stop := range stops {
		fewest, most, _ := stop()
		n := 0
		for _, done := range counts[function] {
			n += done
		}
		t.Logf("%s: %d jobs by %d processes; between %d and %d registered", function, n, len(counts[function]), fewest, most)
		if fewest < 2 {
			t.Errorf("%s: %d registered, want 2 at any time", function, fewest)
		}
		if len(counts[function]) < 4 {
			t.Errorf("%s: %d processes in 10 s, want them to be replaced after 3", function, len(counts[function]))
		}
	}
	if ends := f.ends(); len(ends) != 0 {
		t.Errorf("ends that were not planned: %v", ends)
	}
	f.stopLife()
}

// loadFor keeps two jobs of each function in flight for a while, and counts by what
// they answer.
func (f *lifeFleet) loadFor(d time.Duration, workloads map[string]string) map[string]map[string]int {
	f.tb.Helper()
	counts := map[string]map[string]int{}
	var (
		mu  sync.Mutex
		all sync.WaitGroup
	)
	ctx := f.ctx()
	over := time.Now().Add(d)
	for function, workload := range workloads {
		counts[function] = map[string]int{}
		for range 2 {
			client := jobtest.NewClient(f.tb, f.server.Addr())
			all.Go(func() {
				for time.Now().Before(over) {
					pid, err := client.Do(ctx, gearclient.Request{Function: function, Workload: []byte(workload)})
					if err != nil {
						f.tb.Errorf("%s: %v", function, err)
						return
					}
					mu.Lock()
					counts[function][strings.TrimSpace(string(pid))]++
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return counts
}
