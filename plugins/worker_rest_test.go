package plugins_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// resting is a request of a worker of so many slots that rests when it retires.
func resting(slots int, change func(*workerpb.RunRequest)) func(*workerpb.RunRequest) {
	return func(r *workerpb.RunRequest) {
		r.Rests, r.Slots = true, nil
		for n := range slots {
			r.Slots = append(r.Slots, &workerpb.Slot{Record: uint32(n)})
		}
		if change != nil {
			change(r)
		}
	}
}

// registered is how many connections offer a function.
func (b *bundle) registered(t *testing.T, function string) int {
	t.Helper()
	return b.status(t, function).Workers
}

// running is how many jobs of a function are in hand.
func (b *bundle) running(t *testing.T, function string) int {
	t.Helper()
	return b.status(t, function).Running
}

// status is what the server says of a function; zero if it does not know it.
func (b *bundle) status(t *testing.T, function string) gearclient.FunctionStatus {
	t.Helper()
	list, err := jobtest.NewAdmin(t, b.server).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(f gearclient.FunctionStatus) bool { return f.Function == function })
	if i < 0 {
		return gearclient.FunctionStatus{}
	}
	return list[i]
}

// wantRest fails the test unless the worker retires for this reason, then says of
// each slot once that it rests, and stays registered.
func (b *bundle) wantRest(t *testing.T, w *worker, reason string, slots int) {
	t.Helper()
	for slot := range slots {
		hears(t, w, (*workerpb.Event).GetRested, func(r *workerpb.Rested) bool { return int(r.GetSlot()) == slot })
	}
	if n := b.registered(t, "echo"); n != slots {
		t.Errorf("%d slots are registered, want %d", n, slots)
	}
	var got []string
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		switch {
		case e.GetRetiring() != nil:
			got = append(got, e.GetRetiring().GetReason())
		case e.GetRested() != nil:
			got = append(got, "rested")
		case e.GetLeft() != nil:
			got = append(got, "left")
		}
	}
	want := append([]string{reason}, slices.Repeat([]string{"rested"}, slots)...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events: %s", diff)
	}
}

// TestRestsAfterMaxRuns stays registered after the last job of its limit, takes no
// more, and leaves when it is told to.
func TestRestsAfterMaxRuns(t *testing.T) {
	b := setup(t)
	const limit, slots = 10, 4
	w := b.start(t, resting(slots, func(r *workerpb.RunRequest) { r.Limits.MaxRuns = limit }))
	w.ready(t, slots)
	var tasks []*gearclient.Task
	for n := range limit + 2 {
		task, _ := b.submit(t, "echo", fmt.Sprint(n))
		tasks = append(tasks, task)
	}
	for n, task := range tasks[:limit] {
		wantResult(t, task, fmt.Sprint(n))
	}
	b.wantRest(t, w, "max_runs", slots)
	stays(t, tasks[limit:]...)
	if err := w.Drain(t.Context(), "replaced"); err != nil {
		t.Error(err)
	}
	if c := w.leaves(t, "max_runs"); c.GetDone() != limit {
		t.Errorf("counters %v, want %d jobs", c, limit)
	}
	if n := b.registered(t, "echo"); n != 0 {
		t.Errorf("%d slots are registered after the end", n)
	}
}

func TestRestsForOtherReasons(t *testing.T) {
	for reason, c := range map[string]struct {
		function string
		limits   *workerpb.Limits
	}{
		"panic":        {"panic", &workerpb.Limits{}},
		"max_memory":   {"echo", &workerpb.Limits{MaxMemory: 1}},
		"max_lifetime": {"", &workerpb.Limits{MaxLifetimeMs: 200}},
	} {
		t.Run(reason, func(t *testing.T) {
			b := setup(t)
			w := b.start(t, resting(2, func(r *workerpb.RunRequest) { r.Limits = c.limits }))
			w.ready(t, 2)
			if c.function != "" {
				task, _ := b.submit(t, c.function, "x")
				_, _ = result(t, task)
			}
			b.wantRest(t, w, reason, 2)
			task, _ := b.submit(t, "echo", "for the next one")
			stays(t, task)
			if reason == "panic" {
				w.Release() // the manager is gone
			} else if err := w.Drain(t.Context(), "replaced"); err != nil {
				t.Error(err)
			}
			w.leaves(t, reason)
		})
	}
}

// TestTimeoutDoesNotRest leaves at once.
func TestTimeoutDoesNotRest(t *testing.T) {
	b := setup(t)
	w := b.start(t, resting(2, func(r *workerpb.RunRequest) {
		function(r, "wait", func(f *workerpb.Function) { f.TimeoutMs = 100 })
	}))
	task, _ := b.submit(t, "wait", file(t))
	wantException(t, task, "timed out after 100ms")
	w.leaves(t, "timeout")
}

// TestStuckJobOfARestingWorker ends the process of a worker that rests already, and
// that nobody drains.
func TestStuckJobOfARestingWorker(t *testing.T) {
	b := setup(t)
	w := b.start(t, resting(2, func(r *workerpb.RunRequest) {
		reissueAfter("stuck")(r)
		r.Limits.MaxRuns = 1
	}))
	w.ready(t, 2)
	path := file(t)
	task, _ := b.submit(t, "stuck", path)
	testutil.Receive(t, "the end of the process", w.Done())
	if got := w.Exit().String(); got != "exited with status 1" {
		t.Errorf("the worker %s", got)
	}
	if r := hears(t, w, (*workerpb.Event).GetRetiring, nil); r.GetReason() != "max_runs" {
		t.Errorf("retiring: %v", r)
	}
	hears(t, w, (*workerpb.Event).GetRested, nil)
	makeFile(t, path, "second try")
	b.start(t, nil)
	wantResult(t, task, "second try")
}

// TestLimitsAreSet raises the limit of a worker one of whose slots waits for a run,
// and lowers it below what has been done.
func TestLimitsAreSet(t *testing.T) {
	b := setup(t)
	w := b.start(t, resting(2, func(r *workerpb.RunRequest) { r.Limits.MaxRuns = 1 }))
	w.ready(t, 2)
	set := func(limit uint64) {
		t.Helper()
		if err := w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{MaxRuns: limit}}); err != nil {
			t.Fatal(err)
		}
	}
	set(3)
	first, second := file(t), file(t)
	one, began := b.submit(t, "wait", first)
	testutil.Receive(t, "the job", began)
	other, began := b.submit(t, "wait", second)
	testutil.Receive(t, "the other job", began)
	makeFile(t, first, "1")
	makeFile(t, second, "2")
	wantResult(t, one, "1")
	wantResult(t, other, "2")
	set(2)
	b.wantRest(t, w, "max_runs", 2)
	set(100) // it has said that it retires
	task, _ := b.submit(t, "echo", "for the next one")
	stays(t, task)
}

// TestStandby lets a worker go step by step.
func TestStandby(t *testing.T) {
	b := setup(t)
	w := b.start(t, resting(3, func(r *workerpb.RunRequest) { r.Hold = workerpb.Hold_HOLD_CONNECTED }))
	ready := func(registered bool) {
		t.Helper()
		for slot := range 3 {
			hears(t, w, (*workerpb.Event).GetReady, func(r *workerpb.Ready) bool {
				return int(r.GetSlot()) == slot && r.GetRegistered() == registered && r.GetServer() == b.server
			})
		}
	}
	let := func(hold workerpb.Hold, slots uint32) {
		t.Helper()
		if err := w.Go(t.Context(), hold, slots); err != nil {
			t.Fatal(err)
		}
	}
	ready(false)
	if n := b.registered(t, "wait"); n != 0 {
		t.Errorf("%d slots are registered under HOLD_CONNECTED", n)
	}
	paths := []string{file(t), file(t), file(t)}
	var began []<-chan struct{}
	for _, path := range paths {
		_, begun := b.submit(t, "wait", path)
		began = append(began, begun)
	}
	let(workerpb.Hold_HOLD_REGISTERED, 0)
	ready(true)
	if n := b.registered(t, "wait"); n != 3 {
		t.Errorf("%d slots are registered, want 3", n)
	}
	let(workerpb.Hold_HOLD_NONE, 2)
	testutil.Receive(t, "the first job", began[0])
	testutil.Receive(t, "the second job", began[1])
	select {
	case <-began[2]:
		t.Error("three jobs run in two slots")
	case <-time.After(100 * time.Millisecond):
	}
	let(workerpb.Hold_HOLD_NONE, 0)
	testutil.Receive(t, "the third job", began[2])
	for _, path := range paths {
		makeFile(t, path, "done")
	}
}

// TestUniqueOfAJob is known of a job in hand, and of one that crashed.
func TestUniqueOfAJob(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	path := file(t)
	task, err := b.client.Submit(t.Context(), gearclient.Request{Function: "wait", Unique: "user 7", Workload: []byte(path)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.records.Record(1)
	if err != nil {
		t.Fatal(err)
	}
	testutil.WaitFor(t, "the job", func() bool { return r.Snapshot().Busy })
	want := jobrecord.Job{Server: 4, Function: 11, Handle: task.Handle().Name, Hash: jobrecord.Hash("wait", "user 7", []byte(path)), Unique: "user 7"}
	if diff := cmp.Diff(want, r.Snapshot().Job); diff != "" {
		t.Errorf("record: %s", diff)
	}
	makeFile(t, path, "done")
	wantResult(t, task, "done")
	if _, err := b.client.Submit(t.Context(), gearclient.Request{Function: "crash", Unique: "user 8"}); err != nil {
		t.Fatal(err)
	}
	if c := hears(t, w, (*workerpb.Event).GetJobCrashed, nil); c.GetJob().GetUnique() != "user 8" {
		t.Errorf("crashed: %v", c)
	}
}
