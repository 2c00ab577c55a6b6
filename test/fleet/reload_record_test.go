package fleet

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/manager"
)

// recorder looks all the time how many workers job servers know, and which processes
// the fleet has.
type recorder struct {
	tb     testing.TB
	over   chan struct{}
	ended  sync.WaitGroup
	marked time.Time
	blind  bool // there is no manager to ask

	mu      sync.Mutex
	admins  []*gearclient.Admin
	counted []count
	shots   []manager.Snapshot
}

// count is how many workers were registered for each function, at all servers together.
type count struct {
	at      time.Time
	workers map[string]int
}

// record begins to look.
func (f *reloadFleet) record() {
	f.tb.Helper()
	r := &recorder{tb: f.tb, over: make(chan struct{})}
	r.watch(f.server.Addr())
	r.ended.Go(func() { r.every(5*time.Millisecond, r.count) })
	if f.m != nil {
		r.ended.Go(func() { r.every(20*time.Millisecond, r.shoot(f.m)) })
	} else {
		r.blind = true
	}
	f.seen = r
	f.tb.Cleanup(r.stop)
	r.mark()
}

// shoot asks a manager, until it has ended.
func (r *recorder) shoot(m *servedManager) func() {
	return func() {
		if answer, ok := m.ask(order{Do: "snapshot"}); ok {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.shots = append(r.shots, *answer.Snapshot)
		}
	}
}

// watch adds a server; one that is gone counts as having none.
func (r *recorder) watch(addr string) {
	r.tb.Helper()
	admin := jobtest.NewAdmin(r.tb, addr)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.admins = append(r.admins, admin)
}

// every does something again and again.
func (r *recorder) every(pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-r.over:
			return
		case <-tick.C:
			do()
		}
	}
}

// count asks the servers one after another, and then again in that order: a worker that goes
// from one to another between the answers is seen where it was or where it is.
func (r *recorder) count() {
	r.mu.Lock()
	admins := slices.Clone(r.admins)
	r.mu.Unlock()
	c := count{at: time.Now(), workers: map[string]int{}}
	first, ok := r.ask(admins)
	if !ok {
		return
	}
	again := first
	if len(admins) > 1 {
		if again, ok = r.ask(admins); !ok {
			return
		}
	}
	for i := range admins {
		for function, n := range first[i] {
			c.workers[function] += max(n, again[i][function])
		}
		for function, n := range again[i] {
			if _, known := first[i][function]; !known {
				c.workers[function] += n
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted = append(r.counted, c)
}

// ask asks each server how many workers are registered with it.
func (r *recorder) ask(admins []*gearclient.Admin) (workers []map[string]int, ok bool) {
	for _, admin := range admins {
		ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
		list, err := admin.Status(ctx)
		cancel()
		if err != nil {
			r.tb.Errorf("ask gearmand for its status: %v", err)
			return nil, false
		}
		at := map[string]int{}
		for _, s := range list {
			at[s.Function] = s.Workers
		}
		workers = append(workers, at)
	}
	return workers, true
}

// stop ends it. It may be called again.
func (r *recorder) stop() {
	r.mu.Lock()
	select {
	case <-r.over:
	default:
		close(r.over)
	}
	r.mu.Unlock()
	r.ended.Wait()
}

// mark forgets what was seen, from a look on that begins after it.
func (r *recorder) mark() time.Time {
	r.tb.Helper()
	r.mu.Lock()
	r.marked = time.Now()
	r.counted, r.shots = nil, nil
	r.mu.Unlock()
	r.await(2)
	return r.marked
}

// await waits until so many more looks are complete.
func (r *recorder) await(n int) {
	r.tb.Helper()
	r.mu.Lock()
	counted, shots := len(r.counted)+n, len(r.shots)+n
	r.mu.Unlock()
	testutil.WaitFor(r.tb, "looks at the fleet", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.counted) >= counted && (r.blind || len(r.shots) >= shots)
	})
}

// lowest is the least number of workers registered for a function since the mark.
func (r *recorder) lowest(function string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	low := -1
	for _, c := range r.counted {
		if n := c.workers[function]; low < 0 || n < low {
			low = n
		}
	}
	return low
}

// highest is the greatest.
func (r *recorder) highest(function string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	high := 0
	for _, c := range r.counted {
		high = max(high, c.workers[function])
	}
	return high
}

// wantNever looks that no fewer workers than that were ever registered.
func (r *recorder) wantNeverBelow(function string, n int) {
	r.tb.Helper()
	r.await(2)
	if low := r.lowest(function); low < n {
		r.tb.Errorf("%s: only %d workers were registered for a moment, want %d all the time:%s", function, low, n, r.dip(function, n))
	}
}

// dip describes when there were fewer.
func (r *recorder) dip(function string, n int) (text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := -1
	for _, c := range r.counted {
		if is := c.workers[function]; is != was && (is < n || was < n) {
			text += fmt.Sprintf(" %d at %v", is, c.at.Sub(r.marked).Round(time.Millisecond))
			was = is
		}
	}
	return text
}

// wantSame looks that each of the functions has had the same processes all the time.
func (r *recorder) wantSame(functions ...string) {
	r.tb.Helper()
	r.await(2)
	r.mu.Lock()
	shots := r.shots
	r.mu.Unlock()
	for _, function := range functions {
		first := pidsOf(shots[0], function)
		for _, s := range shots {
			if pids := pidsOf(s, function); !slices.Equal(pids, first) {
				r.tb.Errorf("%s: the workers were %v, and %v %v after the mark, want no change", function, first, pids, s.At.Sub(r.marked))
				break
			}
		}
	}
}

// wantUndisturbed is wantSame and wantNeverBelow for functions with two workers.
func (r *recorder) wantUndisturbed(functions ...string) {
	r.tb.Helper()
	r.wantSame(functions...)
	for _, function := range functions {
		r.wantNeverBelow(function, 2)
	}
}

// pids are those of a function at the mark.
func (r *recorder) pids(function string) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return pidsOf(r.shots[0], function)
}
