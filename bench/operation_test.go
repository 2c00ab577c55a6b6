package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// All that is measured is printed, and all that is printed is measured.
func TestStepsAndRowsAgree(t *testing.T) {
	t.Parallel()
	measured := map[key]bool{
		{quantity: registeredAfter, workers: turnoverWorkers}: true,
		{quantity: successorAfter, workers: turnoverWorkers}:  true,
		{quantity: stoppedAfter, workers: turnoverWorkers}:    true,
	}
	for _, s := range steps() {
		switch s.name {
		case "start, kill, stop":
		case "idle":
			measured[key{quantity: managerWakeups, workers: s.plan.workers}] = true
			measured[key{quantity: managerMemory, workers: s.plan.workers}] = true
		default:
			measured[key{quantity: jobsUnder(s.job.function, s.plan.maxRuns), workers: s.plan.workers, inFlight: fullInFlight}] = true
		}
	}
	printed := map[key]bool{}
	for _, row := range operationRows() {
		if row != nil {
			printed[row.key] = true
		}
	}
	if diff := cmp.Diff(measured, printed, cmp.AllowUnexported(key{})); diff != "" {
		t.Errorf("rows (-measured +printed):\n%s", diff)
	}
}

// What a ratio is taken of is measured in the same turn, before it.
func TestGroups(t *testing.T) {
	t.Parallel()
	parts := groups(steps())
	var got []string
	for _, part := range parts {
		var names []string
		for _, s := range part {
			names = append(names, fmt.Sprint(s.plan.maxRuns))
		}
		got = append(got, fmt.Sprintf("%s %d: %s", part[0].job.function, part[0].plan.workers, strings.Join(names, " ")))
	}
	want := []string{
		"reverse 50: 0",
		"reverse 4: 0 1000 100 1", "linger 4: 0 1000 100 1",
		"reverse 1: 0 1", "linger 1: 0 1",
		"reverse 20: 0", "reverse 200: 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestCompareWorkers(t *testing.T) {
	t.Parallel()
	worker := func(pid int, started uint64) stat { return stat{pid: pid, started: started} }
	before := []stat{worker(1, 10), worker(2, 10), worker(3, 10)}
	tests := map[string]struct {
		now []stat
		ok  bool
	}{
		"replaced":              {[]stat{worker(1, 10), worker(3, 10), worker(4, 20)}, true},
		"replaced with its pid": {[]stat{worker(1, 10), worker(2, 20), worker(3, 10)}, true},
		"still there":           {before, false},
		"not replaced":          {[]stat{worker(1, 10), worker(3, 10)}, false},
		"two in its place":      {[]stat{worker(1, 10), worker(3, 10), worker(4, 20), worker(5, 20)}, false},
		"another is gone, too":  {[]stat{worker(1, 10), worker(4, 20)}, false},
		"another, and not it":   {[]stat{worker(1, 10), worker(2, 10), worker(4, 20)}, false},
		"one was passed over":   {[]stat{worker(1, 10), worker(4, 20), worker(5, 20)}, true},
	}
	for name, tt := range tests {
		if err := compareWorkers(before, tt.now, before[1]); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// needed skips a test that cannot run here; where CI is set it has to.
func needed(t *testing.T, err error) {
	t.Helper()
	var missing *missingError
	switch {
	case errors.As(err, &missing) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// forked is a workshop with the fork manager, and a job server.
func forked(t *testing.T) (*workshop, *jobServer) {
	t.Helper()
	module, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{dir: t.TempDir(), module: module}
	program, err := gearmand()
	needed(t, errors.Join(err, buildForkManager("op-fork")(t.Context(), w)))
	s, err := startServer(t.Context(), program, w.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(stopGrace); err != nil {
			t.Error(err)
		}
	})
	return w, s
}

// The fork manager's workers do as many jobs as they may and are replaced, one that
// is killed is too, and nobody is left after the end.
func TestForkManager(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread() // as startChild wants it
	w, s := forked(t)
	const workers, maxRuns, jobs = 2, 3, 60
	for _, j := range []job{reverseJob(), lingerJob()} {
		c := contender{name: "fork", job: j, managed: true, commands: forkCommand("op-fork")}
		f, err := startFleet(t.Context(), c, w, s, plan{workers: workers, maxRuns: maxRuns})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := s.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first := f.workers
		err = newLoad(conn, j).round(jobs)
		_ = conn.Close() // all answers have been read
		if err == nil {
			err = f.await(t.Context(), workers)
		}
		if err == nil {
			err = f.find()
		}
		if err != nil {
			t.Fatal(errors.Join(err, f.stop(t.Context())))
		}
		for _, p := range f.workers {
			if p.pid == first[0].pid || p.pid == first[1].pid {
				t.Errorf("worker %d is there after %d jobs with a limit of %d", p.pid, jobs, maxRuns)
			}
		}
		if _, err := f.replace(t.Context(), f.workers[0]); err != nil && !errors.Is(err, errNotMissed) {
			t.Errorf("kill a worker: %v", err)
		}
		if err := f.stop(t.Context()); err != nil {
			t.Error(err)
		}
		if f.stopped <= 0 {
			t.Errorf("time to stop: %v", f.stopped)
		}
	}
}

// A step of the operation table, with the fork manager: its figures are noted
// under the keys that the table reads.
func TestTake(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	w, s := forked(t)
	b := &bench{settings: settings{length: 4 * time.Second}, workshop: w, server: s, results: results{}}
	c := contender{id: "op-fork", name: "fork", managed: true, table: operationTable, commands: forkCommand("op-fork")}
	turnover := steps()[0]
	const workers = 3 * crowdKills // to pass over those whose successor comes too soon to be seen
	turnover.plan.workers = workers
	for _, st := range []step{turnover, {name: "limited", job: reverseJob(), plan: plan{workers: 2, maxRuns: 5}, measure: recycle}} {
		if err := b.take(t.Context(), c, st); err != nil {
			t.Fatalf("%s: %v", st.name, err)
		}
	}
	for _, k := range []key{
		{"op-fork", registeredAfter, workers, 0},
		{"op-fork", stoppedAfter, workers, 0},
		{"op-fork", jobsUnder("reverse", 5), 2, fullInFlight},
	} {
		if s := b.results[k]; len(s) != 1 || s[0] <= 0 {
			t.Errorf("%v: %v, want one figure", k, s)
		}
	}
	if n := len(b.results[key{"op-fork", successorAfter, workers, 0}]); n != crowdKills {
		t.Errorf("%d successors noted, want %d", n, crowdKills)
	}
}
