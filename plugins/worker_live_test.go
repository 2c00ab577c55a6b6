package plugins_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// slotsOf are slots that have these records.
func slotsOf(records ...int) *workerpb.Settings {
	list := &workerpb.SlotList{}
	for _, r := range records {
		list.Slots = append(list.Slots, &workerpb.Slot{ClientId: fmt.Sprintf("slot of record %d", r), Record: uint32(r)})
	}
	return &workerpb.Settings{Slots: list}
}

// waiting is a job that waits for its file.
type waiting struct {
	path  string
	task  *gearclient.Task
	began <-chan struct{}
}

func (b *bundle) waiting(t *testing.T) waiting {
	t.Helper()
	j := waiting{path: file(t)}
	j.task, j.began = b.submit(t, "wait", j.path)
	return j
}

func (j waiting) finish(t *testing.T) {
	t.Helper()
	makeFile(t, j.path, "done")
	wantResult(t, j.task, "done")
}

// snapshot reads a record.
func (b *bundle) snapshot(t *testing.T, record int) jobrecord.Snapshot {
	t.Helper()
	r, err := b.records.Record(record)
	if err != nil {
		t.Fatal(err)
	}
	return r.Snapshot()
}

// recordOf is the number of the record that shows a job in hand, or -1.
func (b *bundle) recordOf(t *testing.T, j waiting) int {
	t.Helper()
	found := -1
	for i := range b.records.Len() {
		if s := b.snapshot(t, i); s.Busy && s.Handle == j.task.Handle().Name {
			if found >= 0 {
				t.Errorf("records %d and %d show one job", found, i)
			}
			found = i
		}
	}
	return found
}

// TestSetWithJobsInHand takes the function, the server and the slot away of a job: it
// is accounted for as what it was when it began, and answered.
func TestSetWithJobsInHand(t *testing.T) {
	b := setup(t)
	second := startServer(t)
	w := b.start(t, resting(2, nil))
	w.ready(t, 2)
	jobs := []waiting{b.waiting(t), b.waiting(t)}
	for _, j := range jobs {
		testutil.Receive(t, "the job", j.began)
	}
	s := slotsOf(0)
	s.Servers = &workerpb.ServerList{Servers: []*workerpb.Server{{Address: second, Index: 5}}}
	s.Functions = &workerpb.FunctionList{Functions: []*workerpb.Function{{Name: "echo", Index: 10}}}
	check(t, w.Set(t.Context(), s))
	for i, j := range jobs {
		record := b.recordOf(t, j)
		if got := b.snapshot(t, record); got.Server != 4 || got.Function != 11 {
			t.Errorf("job %d: record %+v", i, got)
		}
		j.finish(t)
		testutil.WaitFor(t, "the end in the record", func() bool {
			got := b.snapshot(t, record)
			return !got.Busy && got.Done == 1 && got.Begun == 1
		})
	}
	b.wantRegistered(t, "wait", 0)
	hears(t, w, (*workerpb.Event).GetRested, func(r *workerpb.Rested) bool { return r.GetSlot() == 1 })
	if got, err := jobtest.NewClient(t, second).Do(t.Context(), gearclient.Request{Function: "echo", Workload: []byte("hi")}); err != nil || string(got) != "hi" {
		t.Errorf("%q, %v", got, err)
	}
	if n := w.count(func(e *workerpb.Event) bool {
		return e.GetUndelivered() != nil || e.GetLost() != nil || e.GetRetiring() != nil
	}); n > 0 {
		t.Errorf("%d events of something that went wrong", n)
	}
}

// TestNoRecordShowsTwoJobs grows a worker again whose dropped slots have jobs in hand
// still, and gives their records to others.
func TestNoRecordShowsTwoJobs(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		t.Helper()
		w := b.start(t, resting(6, nil))
		w.ready(t, 6)
		byRecord := map[int]waiting{}
		for range 6 {
			j := b.waiting(t)
			testutil.Receive(t, "the job", j.began)
			byRecord[b.recordOf(t, j)] = j
		}
		if len(byRecord) != 6 || byRecord[-1].task != nil {
			t.Fatalf("jobs by record: %v", byRecord)
		}
		check(t, w.Set(t.Context(), slotsOf(0, 1, 2)))
		check(t, w.Set(t.Context(), slotsOf(0, 1, 2, 5, 3, 4)))
		byRecord[3].finish(t) // of the fourth slot, which comes back with record 5
		next := b.waiting(t)
		hears(t, w, (*workerpb.Event).GetReady, func(r *workerpb.Ready) bool { return r.GetSlot() == 3 })
		select {
		case <-next.began:
			t.Errorf("the job began in record %d although all slots have jobs in hand, or records in use", b.recordOf(t, next))
		case <-time.After(200 * time.Millisecond):
		}
		if n := b.running(t, "wait"); n != 5 {
			t.Errorf("%d jobs run, want 5: the next one is to stay in the queue", n)
		}
		byRecord[5].finish(t)
		testutil.Receive(t, "the job that waited", next.began)
		if r := b.recordOf(t, next); r != 5 {
			t.Errorf("the job is in record %d, want 5", r)
		}
		next.finish(t)
		for _, r := range []int{0, 1, 2, 4} {
			byRecord[r].finish(t)
		}
		b.wantRegistered(t, "wait", 6)
		for r := range 6 {
			testutil.WaitFor(t, "the end in the record", func() bool {
				s := b.snapshot(t, r)
				return !s.Busy && s.Begun == s.Done
			})
		}
	})
}

// TestSlotsChangeUnderLoad shrinks and grows a worker all the time, with its records in
// any order: no job fails, and each is counted once.
func TestSlotsChangeUnderLoad(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		t.Helper()
		w := b.start(t, resting(2, nil))
		w.ready(t, 2)
		var (
			clients sync.WaitGroup
			jobs    atomic.Int64
			over    = make(chan struct{})
		)
		for range 8 {
			c := jobtest.NewClient(t, b.server)
			clients.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-over:
						return
					default:
					}
					want := fmt.Sprint(i)
					if got, err := c.Do(t.Context(), gearclient.Request{Function: "echo", Workload: []byte(want)}); err != nil || string(got) != want {
						t.Errorf("%q, %v", got, err)
						return
					}
					jobs.Add(1)
				}
			})
		}
		for _, n := range []int{6, 3, 6, 1, 2, 6, 3, 6, 4, 5, 6, 2, 6, 3, 6} {
			check(t, w.Set(t.Context(), slotsOf(rand.Perm(8)[:n]...)))
			before := jobs.Load()
			testutil.WaitFor(t, "more jobs", func() bool { return jobs.Load() > before+50 })
		}
		b.wantRegistered(t, "echo", 6)
		close(over)
		clients.Wait()
		var begun, done uint64
		testutil.WaitFor(t, "every job in the records", func() bool {
			begun, done = 0, 0
			for i := range b.records.Len() {
				s := b.snapshot(t, i)
				begun, done = begun+s.Begun, done+s.Done
			}
			return done >= uint64(jobs.Load())
		})
		if begun != done || done != uint64(jobs.Load()) {
			t.Errorf("%d jobs, the records have %d begun and %d done", jobs.Load(), begun, done)
		}
	})
}

// TestServersChange gives the union of old and new servers first, as the manager does,
// then the new ones. Each change of a server is told, and no other.
func TestServersChange(t *testing.T) {
	b := setup(t)
	second, down := startServer(t), testutil.FreeAddr(t)
	w := b.start(t, resting(2, nil))
	w.ready(t, 2)
	servers := func(addresses ...string) {
		t.Helper()
		list := &workerpb.ServerList{}
		for i, a := range addresses {
			list.Servers = append(list.Servers, &workerpb.Server{Address: a, Index: uint32(10 + i)})
		}
		check(t, w.Set(t.Context(), &workerpb.Settings{Servers: list}))
	}
	servers(b.server, second, down)
	for slot := range uint32(2) {
		hears(t, w, (*workerpb.Event).GetReady, func(r *workerpb.Ready) bool {
			return r.GetSlot() == slot && r.GetServer() == second && r.GetRegistered()
		})
		hears(t, w, (*workerpb.Event).GetLost, func(l *workerpb.Lost) bool { return l.GetSlot() == slot && l.GetServer() == down })
	}
	task, _ := b.submit(t, "echo", "on the old one")
	wantResult(t, task, "on the old one")
	servers(second, down)
	b.wantRegistered(t, "echo", 0)
	if got, err := jobtest.NewClient(t, second).Do(t.Context(), gearclient.Request{Function: "echo", Workload: []byte("hi")}); err != nil || string(got) != "hi" {
		t.Errorf("%q, %v", got, err)
	}
	servers(second)
	servers(b.server, second)
	b.wantRegistered(t, "echo", 2)
	testutil.WaitFor(t, "the first server's events", func() bool {
		return w.count(func(e *workerpb.Event) bool { return e.GetReady().GetServer() == b.server }) >= 4
	})
	var got []string
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if r := e.GetReady(); r.GetSlot() == 0 && r != nil {
			got = append(got, "ready "+r.GetServer())
		}
		if l := e.GetLost(); l.GetSlot() == 0 && l != nil {
			got = append(got, "lost "+l.GetServer())
		}
	}
	names := strings.NewReplacer(b.server, "first", second, "second", down, "down")
	changed := map[string]int{}
	for _, e := range got {
		changed[names.Replace(e)]++
	}
	if diff := cmp.Diff(map[string]int{"ready first": 2, "ready second": 1, "lost down": 1}, changed); diff != "" {
		t.Error(diff)
	}
}

// TestLimitsOfAnIdleWorker are in force at once: one that it is over makes it retire.
func TestLimitsOfAnIdleWorker(t *testing.T) {
	for reason, c := range map[string]struct {
		rests  bool
		limits *workerpb.Limits
	}{
		"max_runs":     {false, &workerpb.Limits{MaxRuns: 2}},
		"max_memory":   {true, &workerpb.Limits{MaxMemory: 1}},
		"max_lifetime": {false, &workerpb.Limits{MaxLifetimeMs: 1}},
	} {
		t.Run(reason, func(t *testing.T) {
			b := setup(t)
			w := b.start(t, resting(2, func(r *workerpb.RunRequest) { r.Rests = c.rests }))
			w.ready(t, 2)
			for range 2 {
				task, _ := b.submit(t, "echo", "x")
				wantResult(t, task, "x")
			}
			check(t, w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{MaxRuns: 3, MaxMemory: 1 << 40, MaxLifetimeMs: 3_600_000}}))
			if n := w.count(func(e *workerpb.Event) bool { return e.GetRetiring() != nil }); n > 0 {
				t.Error("it retires under limits that it is not over")
			}
			check(t, w.Set(t.Context(), &workerpb.Settings{Limits: c.limits}))
			if c.rests {
				b.wantRest(t, w, reason, 2)
				check(t, w.Drain(t.Context(), "replaced"))
			}
			if counters := w.leaves(t, reason); counters.GetDone() != 2 {
				t.Errorf("counters %v", counters)
			}
		})
	}
}

// TestSlotsComeBackUnderALargerLimit is about a worker that does not rest: a slot
// leaves when no run is left for it.
func TestSlotsComeBackUnderALargerLimit(t *testing.T) {
	b := setup(t)
	w := b.start(t, resting(3, func(r *workerpb.RunRequest) { r.Rests, r.Limits.MaxRuns = false, 2 }))
	w.ready(t, 3)
	first := b.waiting(t)
	testutil.Receive(t, "the job", first.began)
	b.wantRegistered(t, "wait", 2)
	check(t, w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{MaxRuns: 100}}))
	b.wantRegistered(t, "wait", 3)
	others := []waiting{b.waiting(t), b.waiting(t)}
	for _, o := range others {
		testutil.Receive(t, "a job in another slot", o.began)
	}
	for _, o := range append(others, first) {
		o.finish(t)
	}
}

func TestMaxDataChanges(t *testing.T) {
	b := setup(t)
	w := b.start(t, func(r *workerpb.RunRequest) { r.Limits.MaxData = 50 })
	w.ready(t, 1)
	large := strings.Repeat("x", 60)
	task, _ := b.submit(t, "echo", large)
	wantException(t, task, "workload of 60 bytes is over the worker's limit of 50")
	check(t, w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{MaxData: 60}}))
	task, _ = b.submit(t, "echo", large)
	wantResult(t, task, large)
	check(t, w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{}}))
	task, _ = b.submit(t, "surroundings", "")
	wantResult(t, task, `"" <nil> /dev/null resize/3 67108864`)
	if s := b.snapshot(t, 1); s.Done != 3 || s.Failed != 1 || s.Begun != 2 {
		t.Errorf("record %+v", s)
	}
}
