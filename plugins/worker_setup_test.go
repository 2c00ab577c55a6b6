package plugins_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// bundle is all that surrounds a worker. There is one supervisor in a process,
// so tests that need it run one after the other.
type bundle struct {
	host    *host.Host
	dir     string
	self    string
	server  string
	client  *gearclient.Client
	records *jobrecord.File
}

func setup(t *testing.T) *bundle {
	t.Helper()
	sup, err := supervisor.New(supervisor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sup.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b := &bundle{server: startServer(t), dir: privateDir(t)}
	b.client = jobtest.NewClient(t, b.server)
	if b.host, err = host.New(host.Config{Supervisor: sup, Dir: b.dir}); err != nil {
		t.Fatal(err)
	}
	if b.self, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	if b.records, err = jobrecord.Create(filepath.Join(b.dir, "records"), 8); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.records.Close() })
	return b
}

// privateDir is a directory that others cannot enter.
func privateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startServer starts a job server that wakes one worker for a job.
func startServer(t *testing.T) string {
	t.Helper()
	return jobtest.StartJobServer(t, jobserver.Config{WorkerWakeup: 1}).Addr()
}

// worker is a worker process with what it has told.
type worker struct {
	*host.Worker

	mu     sync.Mutex
	events []*workerpb.Event
	lines  []string
}

// start starts a worker; the test's end kills it.
func (b *bundle) start(t *testing.T, change func(*workerpb.RunRequest)) *worker {
	t.Helper()
	w := &worker{}
	req := request(b.server)
	req.RecordFile = b.records.Path()
	if change != nil {
		change(req)
	}
	var err error
	w.Worker, err = b.host.Start(t.Context(), host.Launch{
		Name: "resize/3", Path: b.self, Env: workerEnv("ok"),
		Request: func() *workerpb.RunRequest { return req },
		Output: func(stream, line string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, stream+": "+line)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for e := range w.Events() {
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = w.Kill()
		testutil.Receive(t, "the end of the process", w.Done())
		<-heard
		if t.Failed() {
			t.Logf("events %v\nlines %.2000q", w.events, w.lines[:min(len(w.lines), 20)])
		}
	})
	return w
}

// hears waits for an event of one kind that suits, and returns it.
func hears[E any](t *testing.T, w *worker, get func(*workerpb.Event) *E, suits func(*E) bool) *E {
	t.Helper()
	var found *E
	testutil.WaitFor(t, fmt.Sprintf("an event %T", found), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.events {
			if x := get(e); x != nil && (suits == nil || suits(x)) {
				found = x
				return true
			}
		}
		return false
	})
	return found
}

// ready waits until n slots are registered.
func (w *worker) ready(t *testing.T, n int) {
	t.Helper()
	for slot := range n {
		hears(t, w, (*workerpb.Event).GetReady, func(r *workerpb.Ready) bool { return int(r.GetSlot()) == slot })
	}
}

// leaves waits until the worker has left for a reason, lets it go, and returns
// its counters.
func (w *worker) leaves(t *testing.T, reason string) *workerpb.Counters {
	t.Helper()
	left := hears(t, w, (*workerpb.Event).GetLeft, nil)
	if got := hears(t, w, (*workerpb.Event).GetRetiring, nil); got.GetReason() != reason {
		t.Errorf("retiring: %v, want %q", got, reason)
	}
	w.Release()
	testutil.Receive(t, "the end of the process", w.Done())
	if got := w.Exit().String(); got != "exited with status 0" {
		t.Errorf("the worker %s", got)
	}
	return left.GetCounters()
}

// submit begins a job, of which the test is told when it has begun, by a status.
func (b *bundle) submit(t *testing.T, function, workload string) (*gearclient.Task, <-chan struct{}) {
	t.Helper()
	task, err := b.client.Submit(t.Context(), gearclient.Request{Function: function, Workload: []byte(workload)})
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	go func() { // ends with the job, or the test
		for range task.Updates(t.Context()) {
			close(began)
			return
		}
	}()
	return task, began
}

// result waits for a job's end.
func result(t *testing.T, task *gearclient.Task) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testutil.Patience)
	defer cancel()
	b, err := task.Wait(ctx)
	return string(b), err
}

// wantException fails the test unless a job ended with an exception that says
// so.
func wantException(t *testing.T, task *gearclient.Task, text string) {
	t.Helper()
	if got, err := result(t, task); err == nil || !strings.Contains(err.Error(), "exception: "+text) {
		t.Errorf("the job ended with %q, %v, want exception %q", got, err, text)
	}
}

// wantResult fails the test unless a job has this result.
func wantResult(t *testing.T, task *gearclient.Task, want string) {
	t.Helper()
	if got, err := result(t, task); err != nil || got != want {
		t.Errorf("the job ended with %q, %v, want %q", got, err, want)
	}
}

// file is a file that does not exist yet.
func file(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "file")
}

// make makes a file as a whole.
func makeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
