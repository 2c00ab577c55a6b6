package plugins_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func TestDescription(t *testing.T) {
	b := setup(t)
	d, err := b.host.Describe(t.Context(), host.Launch{Path: b.self, Env: workerEnv("ok")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"echo", "wait", "stuck", "error", "panic", "crash", "print", "news", "surroundings"}
	if diff := cmp.Diff(want, d.GetFunctions()); diff != "" || d.GetVersion() != "v1.2" || d.GetAny() {
		t.Errorf("description %v %s", d, diff)
	}
}

func TestStartErrors(t *testing.T) {
	b := setup(t)
	for _, c := range []struct {
		mode   string
		change func(*workerpb.RunRequest)
		want   string
	}{
		{"init fails", nil, "init: no database"},
		{"twice", nil, "is given twice"},
		{"nothing", nil, "a worker needs at least one Func"},
		{"ok", func(r *workerpb.RunRequest) { r.Slots = nil }, "at least one slot"},
		{"ok", func(r *workerpb.RunRequest) { r.Functions[0].Name = "reverse" }, `function "reverse": this program performs`},
		{"ok", func(r *workerpb.RunRequest) { r.Servers[0].Address = "a b" }, "cannot be in a host name"},
		{"ok", func(r *workerpb.RunRequest) { r.RecordFile = "/nowhere" }, "open job records"},
		{"ok", func(r *workerpb.RunRequest) { r.Contract = 9 }, "the manager speaks version 9"},
	} {
		req := request(b.server)
		if c.change != nil {
			c.change(req)
		}
		_, err := b.host.Start(t.Context(), host.Launch{
			Name: "resize/3", Path: b.self, Env: workerEnv(c.mode), Request: func() *workerpb.RunRequest { return req },
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.mode, err, c.want)
		}
	}
}

// TestLifeOfAWorker sees a worker from its start to its end.
func TestLifeOfAWorker(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	if int(w.Hello().GetPid()) != w.PID() {
		t.Errorf("hello %v of process %d", w.Hello(), w.PID())
	}
	if r := hears(t, w, (*workerpb.Event).GetReady, nil); r.GetServer() != b.server {
		t.Errorf("ready: %v", r)
	}
	path := file(t)
	task, began := b.submit(t, "wait", path)
	testutil.Receive(t, "the job", began)
	hears(t, w, (*workerpb.Event).GetBusy, nil)
	r, err := b.records.Record(1)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Snapshot()
	want := jobrecord.Job{Server: 4, Function: 11, Handle: task.Handle().Name, Hash: jobrecord.Hash("wait", "", []byte(path))}
	if diff := cmp.Diff(want, s.Job); diff != "" || !s.Busy || s.Begun != 1 || s.Done != 0 || s.Start > jobrecord.Now() {
		t.Errorf("record %+v %s", s, diff)
	}
	makeFile(t, path, "there")
	wantResult(t, task, "there")
	hears(t, w, (*workerpb.Event).GetIdle, nil)
	if s := r.Snapshot(); s.Busy || s.Done != 1 || s.Failed != 0 || s.Bytes != uint64(len(path)+5) || s.Spent <= 0 {
		t.Errorf("record %+v", s)
	}
	news, _ := b.submit(t, "news", "abc")
	wantResult(t, news, "news "+news.Handle().Name+" ")
	line := hears(t, w, (*workerpb.Event).GetLog, func(l *workerpb.Log) bool { return l.GetMessage() == "hello" })
	if line.GetHandle() != news.Handle().Name || line.GetFunction() != "news" || !slices.Equal(line.GetAttributes(), []string{"size", "3"}) {
		t.Errorf("log %v", line)
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.Drain(t.Context(), "stop"); err != nil {
		t.Error(err)
	}
	if c := w.leaves(t, "drain"); c.GetDone() != 2 || c.GetFailed() != 0 {
		t.Errorf("counters %v", c)
	}
	hears(t, w, (*workerpb.Event).GetLog, func(l *workerpb.Log) bool {
		return l.GetMessage() == "worker did not close cleanly" && strings.Contains(strings.Join(l.GetAttributes(), " "), "could not say goodbye")
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, want := range []string{"stdout: on standard output", "stderr: on standard error"} {
		if !slices.Contains(w.lines, want) {
			t.Errorf("printed %q, want %q", w.lines, want)
		}
	}
}

func TestSurroundings(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	task, _ := b.submit(t, "surroundings", "")
	wantResult(t, task, `"" <nil> /dev/null resize/3 67108864`)
	w.Release()
	testutil.Receive(t, "the end of the process", w.Done())
	b.start(t, func(r *workerpb.RunRequest) { r.Limits.MaxData = 100 << 20 })
	task, _ = b.submit(t, "surroundings", "")
	wantResult(t, task, `"" <nil> /dev/null resize/3 104857600`)
}

func TestHoldAndGo(t *testing.T) {
	b := setup(t)
	task, _ := b.submit(t, "echo", "a")
	w := b.start(t, func(r *workerpb.RunRequest) { r.Hold = workerpb.Hold_HOLD_REGISTERED })
	w.ready(t, 1)
	other, _ := b.submit(t, "echo", "b")
	for _, h := range []workerpb.Hold{workerpb.Hold_HOLD_CONNECTED, workerpb.Hold_HOLD_REGISTERED} {
		if err := w.Go(t.Context(), h, 0); err != nil {
			t.Error(err)
		}
		stays(t, task, other)
	}
	if err := w.Go(t.Context(), workerpb.Hold_HOLD_NONE, 0); err != nil {
		t.Error(err)
	}
	wantResult(t, task, "a")
	wantResult(t, other, "b")
}

// stays fails the test if one of the jobs is done within a while.
func stays(t *testing.T, tasks ...*gearclient.Task) {
	t.Helper()
	<-time.After(100 * time.Millisecond)
	for _, task := range tasks {
		select {
		case <-task.Done():
			t.Errorf("job %v is done", task.Handle())
		default:
		}
	}
}

func TestPauseAndResume(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	path := file(t)
	inHand, began := b.submit(t, "wait", path)
	testutil.Receive(t, "the job", began)
	if err := w.Pause(t.Context(), "echo", "wait"); err != nil {
		t.Error(err)
	}
	makeFile(t, path, "not lost")
	wantResult(t, inHand, "not lost")
	paused, _ := b.submit(t, "echo", "later")
	other, _ := b.submit(t, "news", "")
	wantResult(t, other, "news "+other.Handle().Name+" ")
	stays(t, paused)
	if err := w.Resume(t.Context(), "echo"); err != nil {
		t.Error(err)
	}
	wantResult(t, paused, "later")
	if err := w.Pause(t.Context(), "reverse"); err != nil {
		t.Errorf("pause of a function that may come: %v", err)
	}
}

func TestSet(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	w.ready(t, 1)
	verbosity := uint32(3)
	second := startServer(t)
	err := w.Set(t.Context(), &workerpb.Settings{
		Servers:   &workerpb.ServerList{Servers: []*workerpb.Server{{Address: second, Index: 5}}},
		Functions: &workerpb.FunctionList{Functions: []*workerpb.Function{{Name: "echo", Index: 10}, {Name: "error", Index: 13}}},
		Slots:     &workerpb.SlotList{Slots: []*workerpb.Slot{{ClientId: "a", Record: 1}, {ClientId: "b", Record: 2}}},
		Verbosity: &verbosity,
	})
	if err != nil {
		t.Fatal(err)
	}
	for slot := range uint32(2) {
		hears(t, w, (*workerpb.Event).GetReady, func(r *workerpb.Ready) bool { return r.GetSlot() == slot && r.GetServer() == second })
	}
	got, err := jobtest.NewClient(t, second).Do(t.Context(), gearclient.Request{Function: "echo", Workload: []byte("hi")})
	if err != nil || string(got) != "hi" {
		t.Errorf("%q, %v", got, err)
	}
	hears(t, w, (*workerpb.Event).GetLog, func(l *workerpb.Log) bool {
		return l.GetMessage() == "job done" && l.GetFunction() == "echo" &&
			slices.Contains(l.GetAttributes(), "took_ms")
	})
	for want, s := range map[string]*workerpb.Settings{
		"at least one slot": {Slots: &workerpb.SlotList{}},
		"this program":      {Functions: &workerpb.FunctionList{Functions: []*workerpb.Function{{Name: "x"}}}},
		"is a URL":          {Servers: &workerpb.ServerList{Servers: []*workerpb.Server{{Address: "http://a"}}}},
	} {
		if err := w.Set(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("set %v: %v, want %q", s, err, want)
		}
	}
	if err := w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{MaxLifetimeMs: 1}}); err != nil {
		t.Error(err)
	}
	w.leaves(t, "max_lifetime")
}

func TestErrorsAndPanics(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	failed, _ := b.submit(t, "error", "")
	wantException(t, failed, "no such image")
	after, _ := b.submit(t, "echo", "still here")
	wantResult(t, after, "still here")
	panicked, _ := b.submit(t, "panic", "")
	wantException(t, panicked, "panic: broken")
	if c := w.leaves(t, "panic"); c.GetDone() != 3 || c.GetFailed() != 2 {
		t.Errorf("counters %v", c)
	}
	line := hears(t, w, (*workerpb.Event).GetLog, func(l *workerpb.Log) bool { return l.GetMessage() == "handler panicked" })
	if line.GetHandle() != panicked.Handle().Name || !strings.Contains(strings.Join(line.GetAttributes(), " "), "worker_main_test.go") {
		t.Errorf("log %v", line)
	}
}

func TestMaxMemory(t *testing.T) {
	b := setup(t)
	w := b.start(t, func(r *workerpb.RunRequest) { r.Limits.MaxMemory = 1 })
	task, _ := b.submit(t, "echo", "x")
	wantResult(t, task, "x")
	w.leaves(t, "max_memory")
}

// TestMaxRuns has four slots that share a limit which is met exactly, over
// several workers, whether jobs are queued or come one at a time.
func TestMaxRuns(t *testing.T) {
	b := setup(t)
	const limit = 10
	start := func() *worker {
		return b.start(t, func(r *workerpb.RunRequest) {
			r.Limits.MaxRuns = limit
			r.Slots = []*workerpb.Slot{{Record: 0}, {Record: 1}, {Record: 2}, {Record: 3}}
		})
	}
	w := start()
	w.ready(t, 4)
	var clients sync.WaitGroup
	for n := range 3 * limit / 5 {
		clients.Go(func() {
			c := jobtest.NewClient(t, b.server)
			for i := range 5 {
				want := fmt.Sprintf("%d/%d", n, i)
				if got, err := c.Do(t.Context(), gearclient.Request{Function: "echo", Workload: []byte(want)}); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v", want, got, err)
				}
			}
		})
	}
	for range 2 {
		if c := w.leaves(t, "max_runs"); c.GetDone() != limit {
			t.Errorf("counters %v, want %d jobs", c, limit)
		}
		w = start()
	}
	clients.Wait()
	if c := w.leaves(t, "max_runs"); c.GetDone() != limit {
		t.Errorf("counters %v, want %d jobs", c, limit)
	}
}

// TestIdleWorkerDoesNotRetire has a limit of one: that a GRAB_JOB brought no
// job is no reason to leave.
func TestIdleWorkerDoesNotRetire(t *testing.T) {
	b := setup(t)
	w := b.start(t, func(r *workerpb.RunRequest) { r.Limits.MaxRuns = 1 })
	w.ready(t, 1)
	<-time.After(50 * time.Millisecond)
	w.mu.Lock()
	for _, e := range w.events {
		if e.GetRetiring() != nil {
			t.Errorf("an idle worker retires: %v", e)
		}
	}
	w.mu.Unlock()
	task, _ := b.submit(t, "echo", "x")
	wantResult(t, task, "x")
	w.leaves(t, "max_runs")
}

func TestRemovedAfterKill(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	w.ready(t, 1)
	if err := w.Kill(); err != nil {
		t.Error(err)
	}
	testutil.Receive(t, "the end", w.Done())
	if _, err := os.Stat(b.records.Path()); err != nil {
		t.Error(err)
	}
}
