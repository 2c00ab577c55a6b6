package fleet

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// load has jobs of a function done all the time.
type load struct {
	tb       testing.TB
	function string
	clients  int
	seconds  float64
	runs     string
	prefix   string // of ids
	over     chan struct{}
	ended    sync.WaitGroup

	mu      sync.Mutex
	next    int64
	done    []loadAnswer
	pending map[int64]bool
	faults  int
}

// loadAnswer is what a client was told of a job.
type loadAnswer struct {
	n       int64
	at      time.Time
	took    time.Duration
	version string
	pid     int
}

// load begins to have jobs done that take some seconds each, so many at a time.
func (f *reloadFleet) load(function string, clients int, seconds float64) *load {
	f.tb.Helper()
	return f.loadAt(f.server.Addr(), function, clients, seconds)
}

// loadAt is load at another server.
func (f *reloadFleet) loadAt(addr, function string, clients int, seconds float64) *load {
	f.tb.Helper()
	l := &load{
		tb: f.tb, function: function, clients: clients, seconds: seconds, runs: f.runs, pending: map[int64]bool{},
		prefix: fmt.Sprintf("%s-%d-", function, len(f.loads)), over: make(chan struct{}),
	}
	for range clients {
		client := jobtest.NewClient(f.tb, addr)
		l.ended.Go(func() { l.run(client) })
	}
	f.loads = append(f.loads, l)
	f.tb.Cleanup(l.end) // of a test that failed
	return l
}

// run is one client.
func (l *load) run(client *gearclient.Client) {
	for {
		select {
		case <-l.over:
			return
		default:
		}
		l.one(client)
	}
}

// one has one job done.
func (l *load) one(client *gearclient.Client) {
	n := l.begin()
	id := fmt.Sprint(l.prefix, n)
	// The test's own context may end before a job that it waits for in its clean-up.
	ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
	defer cancel()
	began := time.Now()
	text, err := client.Do(ctx, gearclient.Request{Function: l.function, Workload: fmt.Appendf(nil, "%s %.3f %s", id, l.seconds, l.runs)})
	a := loadAnswer{n: n, at: time.Now(), took: time.Since(began)}
	var got string
	if _, scan := fmt.Sscan(string(text), &got, &a.version, &a.pid); err == nil && (scan != nil || got != id) {
		err = fmt.Errorf("the answer was %q", text)
	}
	l.ended1(a, err)
}

func (l *load) begin() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	l.pending[l.next] = true
	return l.next
}

func (l *load) ended1(a loadAnswer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, a.n)
	if err == nil {
		l.done = append(l.done, a)
		return
	}
	if l.faults++; l.faults <= 5 {
		l.tb.Errorf("job %s%d: %v after %v", l.prefix, a.n, err, a.took)
	}
}

// end stops asking and waits for the jobs that were asked. It may be called again.
func (l *load) end() {
	l.mu.Lock()
	select {
	case <-l.over:
	default:
		close(l.over)
	}
	l.mu.Unlock()
	l.ended.Wait()
}

// endLoads ends all.
func (f *reloadFleet) endLoads() {
	for _, l := range f.loads {
		l.end()
	}
}

// loadOf is the last load of a function.
func (f *reloadFleet) loadOf(function string) *load {
	f.tb.Helper()
	for i := range f.loads {
		if l := f.loads[len(f.loads)-1-i]; l.function == function {
			return l
		}
	}
	f.tb.Fatalf("%s has no load", function)
	return nil
}

// ids are those of all jobs that were answered.
func (l *load) ids() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, a := range l.answers() {
			if !yield(fmt.Sprint(l.prefix, a.n)) {
				return
			}
		}
	}
}

// answers are all so far.
func (l *load) answers() []loadAnswer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.done) // it only grows
}

// begun is the number of the last job that was asked for.
func (l *load) begun() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// answered tells whether that many jobs were asked for and all up to it are over.
func (l *load) answered(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pending {
		if p <= n {
			return false
		}
	}
	return l.next >= n
}

// first is when a version answered for the first time; zero if it did not.
func (l *load) first(version string) time.Time {
	for _, a := range l.answers() {
		if a.version == version {
			return a.at
		}
	}
	return time.Time{}
}

// others lists the versions but one that answered jobs after the n-th.
func (l *load) others(n int64, version string) string {
	var found []string
	for _, a := range l.answers() {
		if a.n > n && a.version != version {
			found = append(found, a.version)
		}
	}
	return strings.Join(found, ", ")
}

// byPID counts answers since a moment.
func (l *load) byPID(since time.Time) map[int]int {
	n := map[int]int{}
	for _, a := range l.answers() {
		if a.at.After(since) {
			n[a.pid]++
		}
	}
	return n
}
