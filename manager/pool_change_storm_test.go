package manager

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// A pool is changed again and again while its workers have jobs, retire and, in some lives,
// crash. Never more slots take jobs than the larger of the plans that it changes between,
// and where nothing crashes never fewer are registered than the smaller. In the end it is
// what it was changed to last. GM_STORM=full tries many lives.
func TestChangesInAStorm(t *testing.T) {
	t.Parallel()
	seeds := uint64(3)
	if os.Getenv("GM_STORM") == "full" {
		seeds = 500
	}
	for _, kind := range []Kind{KindPlugin, KindPHP, KindExec, KindStandalone} {
		for _, wild := range []bool{false, true} {
			for seed := range seeds {
				t.Run(fmt.Sprintf("%s wild=%v seed=%d", kind, wild, seed), func(t *testing.T) {
					t.Parallel()
					changeStorm(t, kind, wild, seed)
				})
			}
		}
	}
}

func changeStorm(t *testing.T, kind Kind, wild bool, seed uint64) {
	t.Helper()
	plan := onePlan(4)
	plan.Kind, plan.Together = kind, map[Kind]int{KindPlugin: 1, KindPHP: 1, KindStandalone: 1}[kind]
	plan.divide()
	plan.StartRetries, plan.Hash = 5, "good0"
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeFleet(t, dir, plan, nil)
		s := &changes{f: f, wild: wild, plan: plan, opened: map[*edition]string{}, closed: map[*edition]int{}, most: plan.Slots, least: plan.Slots}
		s.hear()
		s.random = rand.New(rand.NewPCG(seed, 11)) //nolint:gosec // a test
		s.servers = f.pool.edition.assigned.servers
		s.open(f.pool.edition, "good", plan.Hash)
		var loop sync.WaitGroup
		loop.Go(func() { f.pool.run(t.Context()) })
		defer s.giveUp(&loop)
		pass(2 * time.Second)
		s.quiet()
		s.blow()
		s.end(&loop)
	})
}

// changes plays the workers of a pool that is changed.
type changes struct {
	f       *fakeFleet
	wild    bool // workers crash, and do not answer
	plan    PoolPlan
	servers []jobServer
	paused  []string

	mu     sync.Mutex
	random *rand.Rand
	calm   bool
	actors []*actor
	opened map[*edition]string // by what its code is
	closed map[*edition]int
	hashes int
	tries  int
	at     time.Duration // of the last start
	atOnce int           // starts at that moment

	most, least int  // slots of the plans since the last quiet
	hurt        bool // something has crashed since then
	code        string
	past        []string
	last        time.Time // when some worker had a last job
	heard       []timed
}

// timed is an event and when it happened.
type timed struct {
	at    time.Duration
	event Event
}

// hear has the events of the pool kept with their times.
func (s *changes) hear() {
	emit := s.f.pool.cfg.emit
	s.f.pool.cfg.emit = func(e Event) {
		emit(e)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.heard = append(s.heard, timed{time.Since(s.f.begun), e})
	}
}

// news tells what was heard last.
func (s *changes) news() (story string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.heard[max(0, len(s.heard)-80):] {
		story += fmt.Sprintf("%v: %T %.200v\n", h.at, h.event, fmt.Sprintf("%+v", h.event))
	}
	return story
}

// story tells what was changed last, and what workers there are.
func (s *changes) story() string {
	story := ""
	for _, a := range s.actors {
		a.mu.Lock()
		story += fmt.Sprintf("\n%d: servers %v, drained %v, retiring %q:", a.pid, a.servers, a.drained, a.retiring)
		for _, slot := range a.slots {
			story += fmt.Sprintf(" %v %v %v", slot.hold, slot.registered, slot.job)
			if slot.dropped {
				story += " dropped"
			}
		}
		a.mu.Unlock()
	}
	story += "\n" + s.news() + strings.Join(s.past[max(0, len(s.past)-6):], "\n") + fmt.Sprintf("\nnow %v\n", time.Since(s.f.begun))
	ask(s.f.pool, func() bool {
		for _, w := range s.f.pool.workers() {
			story += fmt.Sprintf("%s %d %s %s of %d, %d slots, %d open, hold %v, rolls %v, rests %v, let go %v, retired %q, waited %v, place %p, %d failures, servers %v, connected %v, fault %q\n", w.name, w.pid, w.state,
				w.told.plan.Hash, w.place.slots, w.used, w.open, w.hold, w.rolls, w.rests, w.letGo, w.retired, w.waited, w.place, s.f.pool.retry.failures, addresses(w.servers), w.slots[0].connected, s.f.pool.fault)
		}
		return true
	})
	return story
}

func (s *changes) n(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// open has an edition start actors.
func (s *changes) open(e *edition, code, hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened[e] = code
	e.start = func(ctx context.Context, launch host.Launch) (process, error) {
		return s.start(ctx, launch, code, hash)
	}
	e.close = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed[e]++
	}
}

func (s *changes) start(ctx context.Context, launch host.Launch, code, hash string) (process, error) {
	s.mu.Lock()
	s.tries++
	pid := 1000 + s.tries
	if now := time.Since(s.f.begun); now != s.at {
		s.at, s.atOnce = now, 0
	}
	if s.atOnce++; s.atOnce > 500 { // it would go on for ever
		code = "hang"
		if s.atOnce == 501 {
			s.f.t.Errorf("500 starts at once: %s", s.story())
		}
	}
	fails := s.wild && !s.calm && s.random.IntN(15) == 0
	wait := time.Duration(s.random.IntN(3)) * 20 * time.Millisecond
	delay := time.Duration(s.random.IntN(3)) * 10 * time.Millisecond
	s.mu.Unlock()
	fails = fails || code == "broken" || code == "dying" && !s.f.pool.holds() // which is seen before its hello
	switch {
	case fails:
		wait += time.Millisecond // nothing takes no time
	case code == "hang":
		wait = time.Minute
	case code == "slow":
		wait = 2 * time.Second // a worker that retires waits 10 s for its successor, and there may be a few in line
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	switch {
	case fails:
		return nil, errNoStart
	case code == "hang":
		return nil, errHang
	}
	a, err := newActor(launch, pid, code, hash, s.f.clock, delay)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.actors = append(s.actors, a)
	s.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.later()
	if code == "dying" {
		time.AfterFunc(300*time.Millisecond, func() { a.end(supervisor.Exit{PID: pid, Code: 1}) })
	}
	return a, nil
}

// alive are the actors that live.
func (s *changes) alive() []*actor {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actors = slices.DeleteFunc(s.actors, func(a *actor) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.ended
	})
	return slices.Clone(s.actors)
}

// blow has many things happen.
func (s *changes) blow() {
	for range 12 {
		for range 60 {
			if s.n(12) == 0 {
				s.change()
			}
			if alive := s.alive(); len(alive) > 0 {
				s.happen(alive[s.n(len(alive))])
			}
			s.check()
			if s.n(3) == 0 {
				pass(time.Duration(s.n(200)) * time.Millisecond)
				s.check()
			}
		}
		s.quiet()
	}
}

func (s *changes) happen(a *actor) {
	slot := s.n(8)
	switch k := s.n(40); {
	case k < 16:
		a.begin(slot)
	case k < 30:
		a.finish(slot)
	case k < 32 && s.f.pool.holds() && a.code != "mute" && a.code != "dying":
		a.retire([]string{"max_runs", "max_lifetime", "max_memory"}[s.n(3)])
	case k == 32 && s.wild:
		s.hurt = true
		a.end(supervisor.Exit{PID: a.pid, Code: -1, Signal: syscall.SIGSEGV})
	case k == 33 && s.wild && s.f.pool.holds():
		s.hurt = true
		a.retire([]string{"signal", "panic"}[s.n(2)])
	case k == 34 && s.wild && s.n(5) == 0:
		s.hurt = true
		a.mu.Lock()
		a.deaf = true
		a.mu.Unlock()
	}
}

// change changes the pool as a reload does.
func (s *changes) change() {
	next := s.plan
	c := poolChange{}
	code := ""
	switch s.n(9) {
	case 0, 1:
		next.Slots = s.n(13)
	case 2:
		if next.Kind == KindPlugin || next.Kind == KindExec {
			next.Together = s.n(5)
			if next.Kind == KindPlugin {
				next.Together = max(1, next.Together)
			}
		}
	case 3:
		next.MaxRuns = []int{0, 100, 1000}[s.n(3)]
		next.MaxLifetime = []time.Duration{0, time.Minute, time.Hour}[s.n(3)]
		next.ReloadBatch = 1 + s.n(3)
	case 4:
		s.changeServers()
	case 5:
		s.paused = [][]string{nil, {"resize"}}[s.n(2)]
	case 6, 7:
		code = []string{"good", "good", "broken", "mute", "dying", "hang", "slow"}[s.n(7)]
	case 8:
		code = "good" // a restart
	}
	next.divide()
	// A worker that many take over from may retire meanwhile.
	s.hurt = s.hurt || next.Concurrency != s.plan.Concurrency
	if next.Concurrency != s.plan.Concurrency && max(next.Workers, s.plan.Workers) > 1 && code == "" {
		code = "good"
	}
	s.apply(next, c, code)
}

func (s *changes) changeServers() {
	lists := [][]string{{"a:1"}, {"b:1"}, {"a:1", "b:1"}, {"b:1", "c:1"}, {"c:1", "a:1"}, {"a:1", "gone:1"}}
	s.servers = s.f.pool.cfg.reach.want(lists[s.n(len(lists))])
}

func (s *changes) apply(next PoolPlan, c poolChange, code string) {
	if code != "" {
		if min(next.Slots, s.plan.Slots) == 0 {
			code = "good" // nothing would try any other
		}
		s.hashes++
		next.Hash = fmt.Sprintf("%s%d", code, s.hashes)
		c.fresh = &edition{memory: func(int) int64 { return 0 }, why: []string{"new code"}}
		s.open(c.fresh, code, next.Hash)
		s.code = code
		s.hurt = s.hurt || code == "dying"
	}
	s.plan = next
	s.most, s.least = max(s.most, next.Slots), min(s.least, next.Slots)
	s.past = append(s.past, fmt.Sprintf("%v: %d slots of %d, %v, runs %d, batch %d, code %q", time.Since(s.f.begun), next.Slots, next.Concurrency, addresses(s.servers), next.MaxRuns, next.ReloadBatch, code))
	c.plan, c.servers, c.paused = &next, s.servers, s.paused
	if _, ok := ask(s.f.pool, func() bool { s.f.pool.change(s.f.t.Context(), c); return true }); !ok && c.fresh != nil {
		c.fresh.close() // the pool has ended
	}
}

// check looks whether the sums hold, and whether records are as they should be.
func (s *changes) check() {
	s.f.t.Helper()
	registered, taking := 0, 0
	for _, a := range s.alive() {
		r, t := a.sums()
		registered, taking = registered+r, taking+t
		if a.hasLastJob() {
			s.last = time.Now()
		}
	}
	last := time.Since(s.last) < 5*time.Second // another worker may have left for want of room, and its successor is being started
	if s.f.pool.holds() {
		if taking > s.most {
			s.f.t.Fatalf("%d slots take jobs or have one, want at most %d: %s", taking, s.most, s.story())
		}
		if registered < s.least && !s.hurt && !s.wild && !last {
			s.f.t.Fatalf("%d slots are registered, want at least %d: %s", registered, s.least, s.story())
		}
	}
	ask(s.f.pool, func() bool { s.checkRecords(); return true })
}

// checkRecords is called by the loop.
func (s *changes) checkRecords() {
	p := s.f.pool
	type record struct {
		table *recordTable
		n     int
	}
	had := map[record]string{}
	used := map[*recordTable]int{}
	for _, w := range p.workers() {
		used[w.table] += len(w.records)
		for _, n := range w.records {
			if other := had[record{w.table, n}]; other != "" {
				s.f.t.Errorf("record %d is %s's and %s's", n, other, w.name)
			}
			had[record{w.table, n}] = fmt.Sprintf("%s %d", w.name, w.pid)
		}
		for _, j := range p.inHand(w) {
			var pid, job int
			if _, err := fmt.Sscanf(j.job.handle, "H:%d:%d", &pid, &job); err != nil || w.proc != nil && pid != w.pid {
				s.f.t.Errorf("%s %d shows job %s", w.name, w.pid, j.job.handle)
			}
		}
	}
	if p.pending > 0 {
		return
	}
	for _, t := range append(slices.Clone(p.before), p.records) {
		if got := t.file.Len() - len(t.free); got != used[t] {
			s.f.t.Errorf("%d records are taken, workers have %d", got, used[t])
		}
	}
}

// quiet has all jobs end, and looks whether the pool is as it is to be.
func (s *changes) quiet() {
	s.f.t.Helper()
	s.setCalm(true)
	s.rest()
	if s.wild {
		s.apply(s.plan, poolChange{}, "good")
		s.rest()
	}
	s.wantPlan()
	s.most, s.least, s.hurt = s.plan.Slots, s.plan.Slots, false
	s.setCalm(false)
}

func (s *changes) setCalm(calm bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calm = calm
}

// rest lets time pass in which jobs end and none begins.
func (s *changes) rest() {
	for i := range 300 {
		for _, a := range s.alive() {
			for slot := range 32 {
				a.finish(slot)
			}
		}
		pass(time.Duration(1+i) * 10 * time.Millisecond)
		s.check()
	}
	before := s.triesNow()
	pass(10 * time.Minute)
	if tried := s.triesNow() - before; tried > 200 { // those that are too old
		s.f.t.Errorf("%d starts in 10 quiet minutes", tried)
	}
	pass(5 * time.Second)
}

func (s *changes) triesNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// wantPlan looks whether the pool is what it was changed to last.
func (s *changes) wantPlan() {
	s.f.t.Helper()
	good := s.code == "" || s.code == "good" || s.code == "slow" || s.code == "mute" && !s.f.pool.holds()
	st := s.f.status()
	slots, ready := 0, 0
	for _, w := range st.Workers {
		if w.State != StateReady || w.Outdated {
			continue
		}
		ready++
		slots += w.Slots
		if w.Hash != s.plan.Hash && good {
			s.f.t.Errorf("worker %+v, want hash %s: %s", w, s.plan.Hash, s.story())
		}
	}
	if ready != s.plan.Workers || slots != s.plan.Slots || good != (st.Fault == "") && s.plan.Slots > 0 || st.GaveUp {
		s.f.t.Errorf("%d workers with %d slots, want code %q, fault %q, %d failures, plan %d of %d: %s", ready, slots, s.code, st.Fault, st.Failures, s.plan.Slots, s.plan.Concurrency, s.story())
	}
	if registered, taking := s.sums(); s.f.pool.holds() && (registered < s.plan.Slots || taking != s.plan.Slots) {
		s.f.t.Errorf("%d slots are registered, %d take jobs, want %d: %s", registered, taking, s.plan.Slots, s.story())
	}
	for _, a := range s.alive() {
		if s.f.pool.holds() && !a.has(s.servers) {
			s.f.t.Errorf("%d has other servers than %v: %s", a.pid, addresses(s.servers), s.story())
		}
	}
	if faults := seen[InternalError](s.f); len(faults) > 0 {
		s.f.t.Error(faults)
	}
	s.wantEditions()
	if s.f.t.Failed() {
		s.f.t.FailNow()
	}
}

func (s *changes) sums() (registered, taking int) {
	for _, a := range s.alive() {
		r, t := a.sums()
		registered, taking = registered+r, taking+t
	}
	return registered, taking
}

// wantEditions looks whether only those are open that are needed.
func (s *changes) wantEditions() {
	var needed []*edition
	ask(s.f.pool, func() bool { needed = s.f.pool.editions(); return true })
	s.mu.Lock()
	defer s.mu.Unlock()
	for e, code := range s.opened {
		if want := slices.Contains(needed, e); want == (s.closed[e] > 0) || s.closed[e] > 1 {
			s.f.t.Errorf("edition %s %s is needed: %v, was closed %d times", code, cmp.Or(e.assigned.plan.Hash, "-"), want, s.closed[e])
		}
	}
	if len(needed) != 1 && s.plan.Slots > 0 {
		s.f.t.Errorf("%d editions, want 1", len(needed))
	}
}

// giveUp ends everything after a failure.
func (s *changes) giveUp(loop *sync.WaitGroup) {
	if !s.f.t.Failed() {
		return
	}
	p := s.f.pool
	for range 10 {
		ask(p, func() bool { p.stop(s.f.t.Context()); p.hurryUp(killNow); return true })
		for _, a := range s.alive() {
			_ = a.Kill()
		}
		pass(time.Minute)
	}
	loop.Wait()
	p.closeRecords()
}

// end has the pool leave or stop in the middle of something.
func (s *changes) end(loop *sync.WaitGroup) {
	for range 20 {
		s.change()
		for _, a := range s.alive() {
			s.happen(a)
		}
		if s.n(2) == 0 {
			pass(time.Duration(s.n(100)) * time.Millisecond)
		}
	}
	p, ctx := s.f.pool, s.f.t.Context()
	if s.n(2) == 0 {
		ask(p, func() bool { p.leave(ctx); return true })
		s.change() // comes too late
		pass(time.Duration(s.n(100)) * time.Millisecond)
	}
	if s.n(2) == 0 {
		ask(p, func() bool { p.stop(ctx); return true })
		s.change()
	}
	if s.n(2) == 0 {
		ask(p, func() bool { p.stop(ctx); p.hurryUp(1 + s.n(4)); return true })
	}
	for range 100 {
		for _, a := range s.alive() {
			for slot := range 32 {
				a.finish(slot)
			}
		}
		pass(time.Second)
	}
	ask(p, func() bool { p.stop(ctx); return true })
	loop.Wait()
	p.closeRecords()
	for e, code := range s.opened {
		if s.closed[e] != 1 {
			s.f.t.Errorf("edition %s %+v was closed %d times in the end", code, e.assigned, s.closed[e])
		}
	}
	if left := s.alive(); len(left) > 0 {
		s.f.t.Errorf("%d workers live on", len(left))
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(p.records.file.Path()), "*")); len(files) > 1+len(p.before) {
		s.f.t.Errorf("files %v are left", files)
	}
}
