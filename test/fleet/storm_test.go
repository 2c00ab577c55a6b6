package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// stormPool is a pool of the fleet in the storm. It is named like its function.
type stormPool struct {
	function    string
	workers     int
	concurrency int
	lines       string // of its section
	standby     bool
}

func (p stormPool) slots() int { return p.workers * p.concurrency }

// stormSize says how much of a storm there is.
type stormSize struct {
	kills    int
	within   time.Duration
	fraction int // of the 200 workers
}

// sizeOfStorm is what is asked for: GM_STORM=full is 1,000 kills in a minute.
func sizeOfStorm() stormSize {
	switch {
	case os.Getenv("GM_STORM") == "full":
		return stormSize{kills: 1000, within: time.Minute, fraction: 1}
	case testing.Short():
		return stormSize{kills: 40, within: 4 * time.Second, fraction: 5}
	default:
		return stormSize{kills: 200, within: 15 * time.Second, fraction: 1}
	}
}

// stormPools are 200 workers of all kinds, or a fraction of them. Those that are
// replaced after some jobs have a standby.
func stormPools(fraction int) []stormPool {
	turn := "max_runs_per_worker = 20\n"
	pools := []stormPool{
		{function: "gostay", workers: 60, concurrency: 1},
		{function: "goturn", workers: 40, concurrency: 1, lines: turn, standby: true},
		{function: "phpstay", workers: 35, concurrency: 1},
		{function: "phpturn", workers: 25, concurrency: 1, lines: turn, standby: true},
		{function: "execone", workers: 15, concurrency: 1, lines: "command = sh PERFORM\nconcurrency = 1\n"},
		{function: "execfour", workers: 5, concurrency: 4, lines: "command = sh PERFORM\nconcurrency = 4\n"},
		{function: "alone", workers: 20, concurrency: 1, lines: "command = STORM alone alone\nmode = standalone\n"},
	}
	for i := range pools {
		pools[i].workers = max(1, pools[i].workers/fraction)
	}
	return pools
}

// stormConfig is the config of pools.
func stormConfig(pools []stormPool) string {
	var b strings.Builder
	b.WriteString("worker_dir = STORMS,PHP/storm\ninclude = ")
	for _, p := range pools {
		b.WriteString(p.function + ",")
	}
	b.WriteString("\n")
	for _, p := range pools {
		fmt.Fprintf(&b, "[%s]\ndedicated_only = 1\ndedicated_count = %d\n%s", p.function, p.slots(), p.lines)
	}
	return b.String()
}

// storm is a fleet of which processes are killed.
type storm struct {
	*stormFleet
	pools   []stormPool
	control *control.Client
	random  *rand.Rand // of the one who kills
	later   sync.WaitGroup
	alive   atomic.Pointer[map[int]string] // as they were seen last

	answered, excepted, background atomic.Int64
	notes                          string // directory of the background jobs
}

// TestStorm kills workers of every kind at random, while jobs are done: with SIGKILL,
// SIGSEGV, SIGTERM, and SIGSTOP, from which some are continued. There are never more
// of them than there may be; afterwards the fleet is as planned, and nothing is left
// of what was killed.
//
// GM_STORM=full does what takes more than a minute, GM_STORM_SEED=n the same again, as
// far as that goes.
func TestStorm(t *testing.T) {
	size := sizeOfStorm()
	s := newStormOf(t, size)
	s.startStorm(stormConfig(s.pools))
	s.connect()
	s.waitPlan()
	before := s.holds()
	ctx, end := context.WithCancel(t.Context())
	load := s.load(ctx, 20)
	look := s.watch(ctx)
	began := time.Now()
	blows := s.strike(size)
	t.Logf("%d blows in %v: %v", size.kills, time.Since(began).Round(time.Millisecond), blows)
	s.later.Wait()
	end()
	load.Wait()
	look()
	s.waitNoneStopped()
	s.wantBackground()
	took := s.waitPlan()
	t.Logf("%d jobs answered, %d of them with an exception; as planned %v after the last job and the last death", s.answered.Load()+s.excepted.Load(), s.excepted.Load(), took.Round(time.Millisecond))
	s.wantPlan()
	s.wantNothingMore(before)
	s.stopStorm()
}

// newStormOf prepares a storm.
func newStormOf(t *testing.T, size stormSize) *storm {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GM_STORM_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("GM_STORM_SEED: %v", err)
		}
	}
	t.Logf("GM_STORM_SEED=%d", seed)
	s := &storm{stormFleet: newStorm(t), pools: stormPools(size.fraction), random: rand.New(rand.NewPCG(seed, 0))}
	s.notes = filepath.Join(s.dir, "notes")
	if err := os.Mkdir(s.notes, 0o700); err != nil {
		t.Fatal(err)
	}
	return s
}

// connect finds the control socket of the manager.
func (s *storm) connect() {
	s.tb.Helper()
	var found []string
	testutil.WaitFor(s.tb, "the manager's control socket", func() bool {
		found, _ = filepath.Glob(filepath.Join(s.runtime, "m*", "control"))
		return len(found) == 1
	})
	s.control = control.NewClient(found[0])
}

// waitPlan waits until the fleet is as planned, with its standbys.
func (s *storm) waitPlan() time.Duration {
	s.tb.Helper()
	began := time.Now()
	late := time.After(4 * testutil.Patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := s.control.Status(s.ctx())
		if err != nil {
			s.tb.Fatal(err)
		}
		wrong := s.notAsPlanned(status)
		if len(wrong) == 0 {
			return time.Since(began)
		}
		select {
		case <-late:
			s.tb.Fatalf("the fleet is not as planned: %s", strings.Join(wrong, "; "))
		case <-tick.C:
		}
	}
}

// waitNoneStopped waits until no worker is stopped by a signal: the manager kills those
// that nobody continues.
func (s *storm) waitNoneStopped() {
	s.tb.Helper()
	testutil.WaitFor(s.tb, "no worker to be stopped", func() bool {
		alive, _ := s.census()
		for pid := range alive {
			if _, state, _ := readChild(pid); state == 'T' {
				return false
			}
		}
		return true
	})
}

// notAsPlanned says in what the fleet differs from its plan.
func (s *storm) notAsPlanned(status control.Status) (wrong []string) {
	pools := map[string]control.Pool{}
	for _, p := range status.Pools {
		pools[p.Name] = p
	}
	for _, want := range s.pools {
		is := map[string]int{}
		ready := 0
		for _, w := range pools[want.function].Workers {
			is[w.State]++
			ready += w.Ready
		}
		states := map[string]int{"ready": want.workers}
		if want.standby {
			states["standby"] = 1
		}
		if !maps.Equal(is, states) || ready != want.slots() {
			wrong = append(wrong, fmt.Sprintf("%s: %v with %d slots registered, want %v with %d", want.function, is, ready, states, want.slots()))
		}
	}
	return wrong
}

// load keeps so many foreground jobs in flight, and submits background ones, until ctx
// ends. Each foreground job is to be answered.
func (s *storm) load(ctx context.Context, inFlight int) *sync.WaitGroup {
	work, cancel := context.WithTimeout(s.tb.Context(), 5*time.Minute)
	s.tb.Cleanup(cancel)
	all := &sync.WaitGroup{}
	for i := range inFlight {
		client := jobtest.NewClient(s.tb, s.server.Addr())
		all.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				function := s.pools[n%len(s.pools)].function
				_, err := client.Do(work, gearclient.Request{Function: function, Workload: []byte("- 0.2")})
				if _, ok := errors.AsType[*gearclient.ExceptionError](err); ok {
					s.excepted.Add(1)
				} else if err != nil {
					s.tb.Errorf("a job of %s was not answered: %v", function, err)
				} else {
					s.answered.Add(1)
				}
			}
		})
	}
	all.Go(func() { s.submit(ctx, work) })
	return all
}

// submit submits background jobs until ctx ends.
func (s *storm) submit(ctx, work context.Context) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		n := s.background.Add(1)
		function := s.pools[int(n)%len(s.pools)].function
		workload := fmt.Sprintf("%s/%d 0.05", s.notes, n)
		if _, err := s.client.Background(work, gearclient.Request{Function: function, Workload: []byte(workload)}); err != nil {
			s.tb.Errorf("submit a background job of %s: %v", function, err)
			return
		}
		<-tick.C
	}
}

// wantBackground looks that each background job has run, and that the server has
// nothing left.
func (s *storm) wantBackground() {
	s.tb.Helper()
	testutil.WaitFor(s.tb, "the server to have no job", func() bool {
		return !slices.ContainsFunc(s.status(), func(f gearclient.FunctionStatus) bool { return f.Total > 0 })
	})
	runs, again := 0, 0
	for n := int64(1); n <= s.background.Load(); n++ {
		text, err := os.ReadFile(fmt.Sprintf("%s/%d", s.notes, n))
		if err != nil {
			s.tb.Errorf("background job %d of %s has not run: %v", n, s.pools[int(n)%len(s.pools)].function, err)
			continue
		}
		lines := strings.Count(string(text), "\n")
		runs += lines
		if lines > 1 {
			again++
		}
	}
	s.tb.Logf("%d background jobs ran, %d of them more than once, %d times in all", s.background.Load(), again, runs)
}

// A blow is what is done to a worker.
type blow struct {
	name    string
	signal  syscall.Signal
	goesOn  bool // it is continued soon
	percent int
}

func blows() []blow {
	return []blow{
		{name: "SIGKILL", signal: syscall.SIGKILL, percent: 40},
		{name: "SIGSEGV", signal: syscall.SIGSEGV, percent: 20},
		{name: "SIGTERM", signal: syscall.SIGTERM, percent: 20},
		{name: "SIGSTOP and SIGCONT", signal: syscall.SIGSTOP, goesOn: true, percent: 10},
		{name: "SIGSTOP", signal: syscall.SIGSTOP, percent: 10},
	}
}

// strike deals so many blows in that time, and counts them. A part of them is for those
// whom few would hit, and now and then it is the process that is hit from which PHP
// workers are forked.
func (s *storm) strike(size stormSize) map[string]int {
	s.tb.Helper()
	counts := map[string]int{}
	tick := time.NewTicker(size.within / time.Duration(size.kills))
	defer tick.Stop()
	for n := 0; n < size.kills; {
		if n%100 == 50 {
			if pid := s.phpParent(); pid != 0 && s.hit(pid, blows()[0]) {
				counts["SIGKILL of the parent of PHP workers"]++
				n++
			}
		}
		pids := s.targets()
		switch n % 10 {
		case 0:
			pids = append(s.those(unsettled), pids[0])
		case 3, 6, 9:
			pids = append(s.those(busy), pids[0])
		}
		b := s.draw()
		if s.hit(pids[s.random.IntN(len(pids))], b) {
			counts[b.name]++
			n++
			<-tick.C
		}
	}
	return counts
}

// targets are the workers that were alive when they were looked at last.
func (s *storm) targets() []int {
	s.tb.Helper()
	if alive := s.alive.Load(); alive != nil && len(*alive) > 0 {
		return slices.Sorted(maps.Keys(*alive))
	}
	alive, _ := s.census()
	if len(alive) == 0 {
		s.tb.Fatal("no worker is alive")
	}
	return slices.Sorted(maps.Keys(alive))
}

// unsettled are the workers that do not simply work: that start, wait for a place, or
// leave.
func unsettled(w control.Worker) bool { return w.State != "ready" }

// busy are those with a job in hand, as far as the manager knows.
func busy(w control.Worker) bool { return len(w.Jobs) > 0 }

// those are the processes of the workers for which test holds.
func (s *storm) those(test func(control.Worker) bool) (pids []int) {
	s.tb.Helper()
	status, err := s.control.Status(s.ctx())
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, p := range status.Pools {
		for _, w := range p.Workers {
			if w.PID != 0 && test(w) {
				pids = append(pids, w.PID)
			}
		}
	}
	return pids
}

// draw draws a blow.
func (s *storm) draw() blow {
	left := s.random.IntN(100)
	for _, b := range blows() {
		if left -= b.percent; left < 0 {
			return b
		}
	}
	panic("the percentages are not 100")
}

// hit hits a child of the manager, and tells whether it was there still. Its number may
// be another process's by now, so that it is held first.
func (s *storm) hit(pid int, b blow) bool {
	s.tb.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false // it has ended
	}
	c, state, ok := readChild(pid)
	if !ok || state.dead() || c.parent != s.cmd.Process.Pid || unix.PidfdSendSignal(fd, b.signal, nil, 0) != nil {
		_ = unix.Close(fd)
		return false
	}
	var wait <-chan time.Time
	if b.goesOn {
		wait = time.After(time.Duration(s.random.IntN(1500)) * time.Millisecond)
	}
	s.later.Go(func() {
		if b.goesOn {
			<-wait
			_ = unix.PidfdSendSignal(fd, syscall.SIGCONT, nil, 0) // it may have been killed
		}
		_ = unix.Close(fd)
	})
	return true
}

// stormSlack is how many processes more than planned a pool may have at any moment: a
// standby and a worker that leaves, or two that leave. There is no place in its job
// records for more.
const stormSlack = 2

// watch looks at the processes and at the server again and again until ctx ends, and
// complains about each that is one too many. Done tells what it has seen.
func (s *storm) watch(ctx context.Context) (done func()) {
	var over sync.WaitGroup
	var looks, asks, most, fewest atomic.Int64
	fewest.Store(1 << 30)
	over.Go(func() {
		for ctx.Err() == nil {
			alive := s.lookAtProcesses()
			most.Store(max(most.Load(), int64(alive)))
			fewest.Store(min(fewest.Load(), int64(alive)))
			looks.Add(1)
			pause(ctx, 100*time.Millisecond)
		}
	})
	admin := jobtest.NewAdmin(s.tb, s.server.Addr())
	over.Go(func() {
		for ctx.Err() == nil {
			s.lookAtServer(ctx, admin)
			asks.Add(1)
			pause(ctx, 20*time.Millisecond)
		}
	})
	return func() {
		over.Wait()
		planned := 0
		for _, p := range s.pools {
			planned += p.workers
		}
		s.tb.Logf("%d workers planned; between %d and %d were alive in %d looks; the server was asked %d times", planned, fewest.Load(), most.Load(), looks.Load(), asks.Load())
	}
}

// pause lets a moment pass, or the rest of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// lookAtProcesses looks that no pool has more workers than it may, and counts all.
func (s *storm) lookAtProcesses() int {
	alive, _ := s.census()
	s.alive.Store(&alive)
	n := byPool(alive)
	for _, p := range s.pools {
		if n[p.function] > p.workers+stormSlack {
			s.tb.Errorf("%d workers of %s are alive, want no more than %d and %d", n[p.function], p.function, p.workers, stormSlack)
		}
	}
	return len(alive)
}

// lookAtServer looks that the server knows no more workers than it may: those that are
// planned, and one. It may take it a moment to notice that one has died.
func (s *storm) lookAtServer(ctx context.Context, admin *gearclient.Admin) {
	for try := 1; ; try++ {
		list, err := admin.Status(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.tb.Errorf("ask gearmand for its status: %v", err)
			}
			return
		}
		wrong := s.tooManyRegistered(list)
		switch {
		case wrong == "":
			return
		case try == 20:
			s.tb.Error(wrong)
			return
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func (s *storm) tooManyRegistered(list []gearclient.FunctionStatus) string {
	for _, p := range s.pools {
		for _, f := range list {
			if most := p.slots() + p.concurrency; f.Function == p.function && f.Workers > most {
				return fmt.Sprintf("%d workers of %s are registered, want no more than %d", f.Workers, p.function, most)
			}
		}
	}
	return ""
}

// wantPlan looks that the fleet is as planned, in the eyes of all who could know:
// "status", the job server, and the kernel.
func (s *storm) wantPlan() {
	s.tb.Helper()
	if wrong := s.notAsPlanned(s.fleetStatus()); len(wrong) > 0 {
		s.tb.Errorf("the fleet is not as planned: %s", strings.Join(wrong, "; "))
	}
	want := map[string]int{}
	for _, p := range s.pools {
		want[p.function] = p.slots()
	}
	s.waitRegistered(want)
	known := map[int]string{s.cmd.Process.Pid: "manager", s.phpParent(): "parent of PHP workers"}
	workers := map[int]string{}
	for _, p := range s.fleetStatus().Pools {
		for _, w := range p.Workers {
			known[w.PID], workers[w.PID] = w.Name, w.Name
		}
	}
	alive, zombies := s.census()
	if !maps.Equal(alive, workers) {
		s.tb.Errorf("workers are %v, and status says %v", alive, workers)
	}
	for _, pid := range zombies {
		s.tb.Errorf("process %d is a zombie", pid)
	}
	for pid, cmd := range s.everybody() {
		if known[pid] == "" {
			s.tb.Errorf("process %d is nobody's: %s", pid, cmd)
		}
	}
}

// wantNothingMore looks that the manager holds no more than it did.
func (s *storm) wantNothingMore(before hold) {
	s.tb.Helper()
	var after hold
	var grown []string
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(testutil.Patience); ; <-tick.C {
		after = s.holds()
		grown = append(more(before.descriptors, after.descriptors), more(before.files, after.files)...)
		if len(grown) == 0 || time.Now().After(late) {
			break
		}
	}
	for _, what := range grown {
		s.tb.Errorf("the manager holds more than before: %s", what)
	}
	s.tb.Logf("threads: %d, were %d; memory: %d KiB, was %d", after.threads, before.threads, after.memory, before.memory)
	if after.threads > before.threads+16 {
		s.tb.Errorf("the manager has %d threads, it had %d", after.threads, before.threads)
	}
	// Ten times what a thousand deaths make it grow.
	if after.memory > before.memory+100<<10 {
		s.tb.Errorf("the manager has %d KiB of memory, it had %d", after.memory, before.memory)
	}
}
