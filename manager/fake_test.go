package manager

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// fakeWorker is a worker process without a process.
type fakeWorker struct {
	fleet   *fakeFleet
	name    string
	pid     int
	request *workerpb.RunRequest
	events  chan *workerpb.Event
	done    chan struct{}
	over    sync.Once
	exit    supervisor.Exit

	mu       sync.Mutex
	deaf     bool // does not answer calls
	busy     bool // does not leave before its job is done
	stubborn bool // does not end when it is released
	told     []*workerpb.SuspectJob
	refuses  error              // of Go
	mute     bool               // says nothing when it is to register
	went     bool               // Go was called
	hold     workerpb.Hold      // as Go said last
	first    uint32             // how many slots, as Go said last
	left     int                // slots that Set left it; 0: all
	wasSet   *workerpb.Settings // what Set has told it
	drained  bool
	let      time.Time // when it was drained
}

// holds is how far the worker may go, and takes whether it may take jobs. The caller
// holds mu.
func (w *fakeWorker) holds() workerpb.Hold {
	if w.went {
		return w.hold
	}
	return w.request.GetHold()
}

func (w *fakeWorker) takes() bool { return w.holds() == workerpb.Hold_HOLD_NONE }

// stayBusy keeps the worker from leaving before the test says so.
func (w *fakeWorker) stayBusy() { w.set(&w.busy) }

// stayMute keeps it from saying that it is registered.
func (w *fakeWorker) stayMute() { w.set(&w.mute) }

// goDeaf keeps it from answering calls.
func (w *fakeWorker) goDeaf() { w.set(&w.deaf) }

func (w *fakeWorker) set(flag *bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*flag = true
}

func (w *fakeWorker) PID() int { return w.pid }
func (w *fakeWorker) Hello() *workerpb.Hello {
	return &workerpb.Hello{Pid: uint32(w.pid), Description: &workerpb.Description{Contract: 1}}
}
func (w *fakeWorker) Events() <-chan *workerpb.Event { return w.events }
func (w *fakeWorker) Err() error                     { return nil }
func (w *fakeWorker) Done() <-chan struct{}          { return w.done }
func (w *fakeWorker) Exit() supervisor.Exit          { return w.exit }
func (w *fakeWorker) Tail() []string                 { return []string{"last words"} }
func (w *fakeWorker) LastLines() []string            { return []string{"last words"} }

func (w *fakeWorker) Release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stubborn {
		w.end(supervisor.Exit{PID: w.pid})
	}
}

func (w *fakeWorker) Kill() error {
	w.end(supervisor.Exit{PID: w.pid, Code: -1, Signal: syscall.SIGKILL})
	return nil
}

func (w *fakeWorker) Drain(ctx context.Context, reason string) error {
	w.fleet.log("drain %s %s", w.name, reason)
	w.mu.Lock()
	deaf, busy := w.deaf, w.busy
	w.drained, w.let = true, time.Now()
	w.mu.Unlock()
	if deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	if !busy {
		w.leave()
	}
	return nil
}

func (w *fakeWorker) Go(ctx context.Context, hold workerpb.Hold, slots uint32) error {
	w.fleet.log("go %s %v %d", w.name, hold, slots)
	w.mu.Lock()
	if err := w.refuses; err != nil {
		w.mu.Unlock()
		return err
	}
	deaf, mute := w.deaf, w.mute
	if !deaf {
		w.went, w.hold, w.first = true, hold, slots
	}
	w.mu.Unlock()
	if deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	if !mute {
		w.ready(true)
	}
	return nil
}

func (w *fakeWorker) Set(_ context.Context, s *workerpb.Settings) error {
	w.fleet.log("set %s %d slots", w.name, len(s.GetSlots().GetSlots()))
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.GetSlots() != nil {
		w.left = len(s.GetSlots().GetSlots())
	}
	if w.wasSet == nil {
		w.wasSet = &workerpb.Settings{}
	}
	proto.Merge(w.wasSet, s)
	if s.GetServers() != nil { // lists are replaced
		w.wasSet.Servers = s.GetServers()
	}
	return nil
}

// settings are what Set has told the worker.
func (w *fakeWorker) settings() *workerpb.Settings {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wasSet
}

func (w *fakeWorker) wasDrained() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drained
}

func (w *fakeWorker) clear(flag *bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*flag = false
}

// readyEvent says that the first slot is registered.
func readyEvent() *workerpb.Event {
	return &workerpb.Event{Event: &workerpb.Event_Ready{Ready: &workerpb.Ready{Server: "127.0.0.1:4730", Registered: true}}}
}

// workersNow are those that were started so far.
func (f *fakeFleet) workersNow() []*fakeWorker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.workers)
}

func (w *fakeWorker) Pause(_ context.Context, functions ...string) error {
	w.fleet.log("pause %s %v", w.name, functions)
	return nil
}

func (w *fakeWorker) Resume(_ context.Context, functions ...string) error {
	w.fleet.log("resume %s %v", w.name, functions)
	return nil
}

func (w *fakeWorker) Ping(ctx context.Context) error {
	w.mu.Lock()
	deaf := w.deaf
	w.mu.Unlock()
	if deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// ready says that all slots are connected.
func (w *fakeWorker) ready(registered bool) {
	for slot := range w.request.GetSlots() {
		w.events <- &workerpb.Event{Event: &workerpb.Event_Ready{Ready: &workerpb.Ready{
			Slot: uint32(slot), Server: "127.0.0.1:4730", Registered: registered,
		}}}
	}
}

// rest says that a slot of a worker that retires has nothing in hand any more.
func (w *fakeWorker) rest(slot int) {
	w.events <- &workerpb.Event{Event: &workerpb.Event_Rested{Rested: &workerpb.Rested{Slot: uint32(slot)}}}
}

func (w *fakeWorker) Suspect(ctx context.Context, s *workerpb.Suspects) error {
	w.mu.Lock()
	w.told = append(w.told, s.GetAdd()...)
	deaf := w.deaf
	w.mu.Unlock()
	for _, job := range s.GetAdd()[:min(1, len(s.GetAdd()))] {
		w.fleet.log("suspect %s %s", w.name, job.GetJob().GetHandle())
	}
	for _, id := range s.GetRemove() {
		w.fleet.log("forget %s %s", w.name, id.GetHandle())
	}
	if deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// end ends the process.
func (w *fakeWorker) end(exit supervisor.Exit) {
	w.over.Do(func() {
		w.exit = exit
		close(w.events)
		close(w.done)
	})
}

func (w *fakeWorker) crash(sig syscall.Signal) {
	w.end(supervisor.Exit{PID: w.pid, Code: -1, Signal: sig})
}

func (w *fakeWorker) leave() {
	w.events <- &workerpb.Event{Event: &workerpb.Event_Left{Left: &workerpb.Left{}}}
}

// begin takes a job into the record of the first slot, as a worker does.
func (w *fakeWorker) begin(handle string) { w.beginIn(0, handle) }

func (w *fakeWorker) beginIn(slot int, handle string) {
	w.fleet.record(w, slot).Begin(jobrecord.Job{Handle: handle, Hash: 7}, w.fleet.clock(), 10)
	w.events <- &workerpb.Event{Event: &workerpb.Event_Busy{Busy: &workerpb.Busy{Slot: uint32(slot)}}}
}

func (w *fakeWorker) finish() { w.fleet.record(w, 0).End(w.fleet.clock(), false, 10) }

func (w *fakeWorker) retire(reason string) {
	w.events <- &workerpb.Event{Event: &workerpb.Event_Retiring{Retiring: &workerpb.Retiring{Reason: reason}}}
}

// fakeFleet is a pool whose processes are fakes.
type fakeFleet struct {
	t     *testing.T
	pool  *pool
	begun time.Time
	// prepare is called with each worker before it runs; an error is that of its
	// start. May be nil.
	prepare  func(*fakeWorker) error
	hello    chan struct{}       // if not nil, starts end when it is closed
	memories func(pid int) int64 // may be nil

	mu      sync.Mutex
	workers []*fakeWorker
	tries   []time.Duration // when starts were tried, since the beginning
	lines   []string
	events  []Event
}

// runPool runs a pool in a synctest bubble until body returns, then stops it.
func runPool(t *testing.T, plan PoolPlan, prepare func(*fakeWorker) error, body func(*fakeFleet)) {
	t.Helper()
	bubble(t, plan, prepare, false, body)
}

// runSlowPool is runPool with workers that say hello when the test closes hello.
func runSlowPool(t *testing.T, plan PoolPlan, body func(*fakeFleet)) {
	t.Helper()
	bubble(t, plan, nil, true, body)
}

func bubble(t *testing.T, plan PoolPlan, prepare func(*fakeWorker) error, slow bool, body func(*fakeFleet)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeFleet(t, dir, plan, prepare)
		if slow {
			f.hello = make(chan struct{})
		}
		var loop sync.WaitGroup
		loop.Go(func() { f.pool.run(t.Context()) })
		synctest.Wait()
		defer func() {
			ask(f.pool, func() bool { f.pool.stop(t.Context()); return true })
			loop.Wait()
			f.pool.closeRecords()
		}()
		body(f)
	})
}

func newFakeFleet(t *testing.T, dir string, plan PoolPlan, prepare func(*fakeWorker) error) *fakeFleet {
	t.Helper()
	if plan.Concurrency == 0 {
		plan.Concurrency = 1
	}
	f := &fakeFleet{t: t, begun: time.Now(), prepare: prepare}
	emit := func(e Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, e)
	}
	reach := newServers(emit)
	servers := reach.want([]string{"127.0.0.1:4730"})
	tables := 0
	pool, err := newPool(poolConfig{
		host: "web1",
		newRecords: func(n int) (*recordTable, error) {
			tables++
			return newRecordTable(filepath.Join(dir, fmt.Sprintf("records%d", tables)), n)
		},
		delay: func(int) time.Duration { return 0 },
		note:  func(string, time.Duration, *supervisor.Process) {}, forget: func(int) {},
		tell: func(ctx context.Context, function string, s *workerpb.Suspects, except process) {
			tellPools(ctx, []*pool{f.pool}, function, s, except)
		},
		gate: newGate(100), ledger: newLedger(100), reach: reach, emit: emit,
		random: func() float64 { return 1 }, clock: f.clock,
	}, f.edition(&plan, servers))
	if err != nil {
		t.Fatal(err)
	}
	f.pool = pool
	return f
}

// edition is what fake workers are started from.
func (f *fakeFleet) edition(plan *PoolPlan, servers []jobServer) *edition {
	return &edition{
		start: f.start, memory: func(pid int) int64 { return f.memory(pid) }, close: func() { f.log("close %s", plan.Hash) },
		assigned: &assignment{plan: plan, numbers: number(nil, plan), servers: servers},
	}
}

// memory is what processes have.
func (f *fakeFleet) memory(pid int) int64 {
	if f.memories == nil {
		return 0
	}
	return f.memories(pid)
}

// clock is the fake time as job records keep it.
func (f *fakeFleet) clock() time.Duration { return time.Hour + time.Since(f.begun) }

func (f *fakeFleet) start(ctx context.Context, launch host.Launch) (process, error) {
	return f.startAs(ctx, launch, f.prepare)
}

// startAs starts a fake worker that prepare, which may be nil, is called with before it
// runs.
func (f *fakeFleet) startAs(ctx context.Context, launch host.Launch, prepare func(*fakeWorker) error) (process, error) {
	w := &fakeWorker{
		fleet: f, name: launch.Name, request: launch.Request(),
		events: make(chan *workerpb.Event, 16), done: make(chan struct{}),
	}
	f.mu.Lock()
	w.pid = 1000 + len(f.tries)
	f.tries = append(f.tries, time.Since(f.begun))
	f.mu.Unlock()
	if prepare != nil {
		if err := prepare(w); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	f.workers = append(f.workers, w)
	f.mu.Unlock()
	if f.hello != nil {
		select {
		case <-f.hello:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return w, nil
}

func (f *fakeFleet) record(w *fakeWorker, slot int) *jobrecord.Record {
	r, err := f.pool.records.file.Record(int(w.request.GetSlots()[slot].GetRecord()))
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fakeFleet) log(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

// worker returns the last worker of that name.
func (f *fakeFleet) worker(name string) *fakeWorker {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range slices.Backward(f.workers) {
		if w.name == name {
			return w
		}
	}
	f.t.Fatalf("no worker %s", name)
	return nil
}

func (f *fakeFleet) started() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.workers)
}

// tried is how many starts were tried.
func (f *fakeFleet) tried() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tries)
}

func (f *fakeFleet) status() PoolStatus {
	f.t.Helper()
	s, ok := ask(f.pool, f.pool.status)
	if !ok {
		f.t.Fatal("the pool's loop has ended")
	}
	return s
}

// states counts the pool's workers by state.
func (f *fakeFleet) states() map[State]int {
	f.t.Helper()
	states := map[State]int{}
	for _, w := range f.status().Workers {
		states[w.State]++
	}
	return states
}

// seen returns the events of type T.
func seen[T Event](f *fakeFleet) []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return only[T](f.events)
}

// only returns the events of type T.
func only[T Event](events []Event) []T {
	var out []T
	for _, e := range events {
		if e, ok := e.(T); ok {
			out = append(out, e)
		}
	}
	return out
}

// pass lets time pass, and all that happens in it.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

var errNoStart = errors.New("no interpreter")

func onePlan(slots int) PoolPlan {
	return PoolPlan{
		Name: "resize", Kind: KindPlugin, Slots: slots, Workers: slots, Concurrency: 1, StartSeconds: time.Second,
		Functions: []FunctionPlan{
			{Name: "resize", Grace: time.Minute, JobAttempts: 3, OnTimeout: config.Fail, OnCrash: config.Reissue},
		},
	}
}
