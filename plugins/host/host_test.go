package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// bundle is a host with its supervisor and directory. There is one supervisor in
// a process, so the tests that need one run one after the other.
type bundle struct {
	host *host.Host
	sup  *supervisor.Supervisor
	dir  string
	self string
}

func setup(t *testing.T, change func(*host.Config)) *bundle {
	t.Helper()
	sup, err := supervisor.New(supervisor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sup.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the runtime directory: %v, %v", left, err)
		}
	})
	cfg := host.Config{Supervisor: sup, Dir: dir}
	if change != nil {
		change(&cfg)
	}
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{host: h, sup: sup, dir: dir, self: self}
}

func (b *bundle) launch(mode string) host.Launch {
	return host.Launch{
		Name: "resize/3", Path: b.self, Env: []string{behaviour + "=" + mode, "GORACE=atexit_sleep_ms=0"},
		Request: func() *workerpb.RunRequest { return &workerpb.RunRequest{Contract: 1, Worker: "resize/3"} },
	}
}

func (b *bundle) start(t *testing.T, launch host.Launch) *host.Worker {
	t.Helper()
	w, err := b.host.Start(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Kill()
		for range w.Events() {
		}
		testutil.Receive(t, "the end of the worker", w.Done())
	})
	return w
}

func TestDescribe(t *testing.T) {
	b := setup(t, nil)
	desc, err := b.host.Describe(t.Context(), b.launch("ok"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"reverse", "resize"}, desc.GetFunctions()); diff != "" {
		t.Error(diff)
	}
	if n := len(b.sup.Processes()); n != 0 {
		t.Errorf("%d processes left", n)
	}
}

func TestDrain(t *testing.T) {
	b := setup(t, nil)
	var pid int
	launch := b.launch("ok")
	launch.Started = func(p *supervisor.Process) { pid = p.PID() }
	w := b.start(t, launch)
	if w.PID() != pid || int(w.Hello().GetPid()) != pid || w.Name() != "resize/3" {
		t.Errorf("pid %d, started as %d, says %d; name %q", w.PID(), pid, w.Hello().GetPid(), w.Name())
	}
	if err := w.Drain(t.Context(), "stop"); err != nil {
		t.Fatal(err)
	}
	if reason := testutil.Receive(t, "retiring", w.Events()).GetRetiring().GetReason(); reason != "stop" {
		t.Errorf("retires because of %q", reason)
	}
	if left := testutil.Receive(t, "left", w.Events()).GetLeft(); left == nil {
		t.Error("no Left")
	}
	select {
	case <-w.Done():
		t.Error("ended before its release")
	default:
	}
	w.Release()
	w.Release()
	if ev := testutil.Receive(t, "the end of the stream", w.Events()); ev != nil {
		t.Errorf("got %v after Left", ev)
	}
	testutil.Receive(t, "the end", w.Done())
	if exit := w.Exit(); !exit.Success() {
		t.Error(exit)
	}
	if err := w.Ping(t.Context()); !errors.Is(err, host.ErrEnded) {
		t.Errorf("ping after the end: %v", err)
	}
}

func TestKill(t *testing.T) {
	b := setup(t, nil)
	w := b.start(t, b.launch("ok"))
	if err := w.Kill(); err != nil {
		t.Fatal(err)
	}
	if ev := testutil.Receive(t, "the end of the stream", w.Events()); ev != nil {
		t.Errorf("got %v", ev)
	}
	testutil.Receive(t, "the end", w.Done())
	if exit := w.Exit(); exit.Signal != syscall.SIGKILL {
		t.Error(exit)
	}
	if w.Err() == nil {
		t.Error("a stream that broke has no error")
	}
	if err := w.Kill(); err != nil {
		t.Error(err)
	}
}

func TestLastEvents(t *testing.T) {
	b := setup(t, nil)
	w := b.start(t, b.launch("burst"))
	for range 2 * burst { // gRPC writes one message of each stream in turn, so the events are out by then
		if err := w.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.Release()
	testutil.Receive(t, "the process's end", w.Process().Done())
	n := uint32(0)
	for ev := range w.Events() {
		if got := ev.GetBusy().GetSlot(); got != n {
			t.Fatalf("event %d came as number %d", got, n)
		}
		n++
	}
	if n != burst {
		t.Errorf("%d of %d events arrived", n, burst)
	}
	testutil.Receive(t, "the end", w.Done())
	if w.Exit().Code != 5 {
		t.Error(w.Exit())
	}
}

func TestStreamEnds(t *testing.T) {
	b := setup(t, nil)
	w := b.start(t, b.launch("stream ends"))
	if ev := testutil.Receive(t, "the end of the stream", w.Events()); ev != nil {
		t.Errorf("got %v", ev)
	}
	if w.Err() != nil {
		t.Error(w.Err())
	}
}

func TestOutputAndEnvironment(t *testing.T) {
	t.Setenv("HOME", "/not/inherited")
	b := setup(t, nil)
	launch := b.launch("prints")
	launch.Argv0 = "gearman-manager: resize/3"
	launch.Args = []string{"worker-exec"}
	launch.Env = append(launch.Env, "COLOR=red", "GEARMAN_WORKER=other/1", "GEARMAN_PROGRAM=/other", "PLUGIN_CLIENT_CERT=x")
	var (
		mu  sync.Mutex
		got []string
	)
	launch.Dropped = func(stream string, lines int) { t.Errorf("%d lines of %s dropped", lines, stream) }
	launch.Output = func(stream, line string) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, stream+" "+line)
	}
	w := b.start(t, launch)
	w.Release()
	testutil.Receive(t, "the end", w.Done())
	slices.Sort(got)
	want := []string{
		"stderr a warning",
		`stdout HOME="" COLOR="red"`,
		`stdout args ["gearman-manager: resize/3" "worker-exec"]`,
		`stdout program ""`,
		"stdout servers 0",
		"stdout worker resize/3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a warning"}, w.Tail()); diff != "" {
		t.Error(diff)
	}
	last := w.LastLines()
	slices.Sort(last)
	for i := range want {
		_, want[i], _ = strings.Cut(want[i], " ")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
}

func TestCalls(t *testing.T) {
	b := setup(t, nil)
	w := b.start(t, b.launch("ok"))
	ctx := t.Context()
	verbosity := uint32(4)
	suspects := &workerpb.Suspects{Add: []*workerpb.SuspectJob{{Job: &workerpb.JobID{Handle: "H:a:1"}}}}
	for want, err := range map[string]error{
		"release worker resize/3: go got HOLD_REGISTERED (Unknown)":     w.Go(ctx, workerpb.Hold_HOLD_REGISTERED, 0),
		"set worker resize/3: set got 4 (Unknown)":                      w.Set(ctx, &workerpb.Settings{Verbosity: &verbosity}),
		"pause worker resize/3: pause got a,b (Unknown)":                w.Pause(ctx, "a", "b"),
		"resume worker resize/3: resume got a (Unknown)":                w.Resume(ctx, "a"),
		"tell suspects to worker resize/3: suspect got H:a:1 (Unknown)": w.Suspect(ctx, suspects),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := w.Ping(ctx); err != nil {
		t.Error(err)
	}
}

func TestCallDeadline(t *testing.T) {
	b := setup(t, nil)
	w := b.start(t, b.launch("no pong"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var call *host.CallError
	if err := w.Ping(ctx); !errors.As(err, &call) || !errors.Is(err, context.DeadlineExceeded) || call.Worker != "resize/3" {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := "/" + strings.Repeat("x", host.MaxDir())
	for dir, want := range map[string]string{
		"run":          `use runtime directory "run": it is no absolute path`,
		open:           fmt.Sprintf("use runtime directory %q: it may be entered by others (mode 0755, want 0700)", open),
		file:           fmt.Sprintf("use runtime directory %q: it is no directory", file),
		long:           fmt.Sprintf("use runtime directory %q: it is 70 bytes long, sockets leave room for 69", long),
		"/nonexistent": "use runtime directory: stat /nonexistent: no such file or directory",
	} {
		if _, err := host.New(host.Config{Dir: dir}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestDescriptorsAndDirectories(t *testing.T) {
	b := setup(t, nil)
	round := func(mode string) {
		w, err := b.host.Start(t.Context(), b.launch(mode))
		if err != nil {
			return
		}
		_ = w.Kill()
		for range w.Events() {
		}
		testutil.Receive(t, "the end", w.Done())
	}
	round("ok") // whatever is opened once
	before := testutil.Descriptors(t)
	for _, mode := range []string{"ok", "exit", "garbage", "burst", "run refused", "ok"} {
		round(mode)
	}
	if after := testutil.Descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
