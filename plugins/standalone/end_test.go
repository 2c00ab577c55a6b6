package standalone_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/standalone"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestStories has workers end in every way.
func TestStories(t *testing.T) {
	b := setup(t, nil)
	drain := func(t *testing.T, w *standalone.Worker) {
		t.Helper()
		if err := w.Drain(t.Context(), "stop"); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		mode string
		end  func(*testing.T, *standalone.Worker)
		want []string
		err  string
	}{
		"polite": {"polite", drain, []string{"retiring: drain", "left: counters false", "exited with status 0"}, ""},
		"plain":  {"plain", drain, []string{"retiring: drain", "left: counters false", "killed by SIGTERM"}, ""},
		"killed": {"plain", func(_ *testing.T, w *standalone.Worker) { _ = w.Kill() }, []string{"killed by SIGKILL"}, "worker reverse/3 was killed by SIGKILL"},
		"killed by others": {
			"plain", func(t *testing.T, w *standalone.Worker) { t.Helper(); hit(t, w.PID(), syscall.SIGTERM) },
			[]string{"killed by SIGTERM"},
			"worker reverse/3 was killed by SIGTERM",
		},
		"leaves by itself": {
			"polite", func(t *testing.T, w *standalone.Worker) { t.Helper(); hit(t, w.PID(), syscall.SIGTERM) },
			[]string{"left: counters false", "exited with status 0"},
			"",
		},
		"ends by itself": {
			"counting", func(t *testing.T, w *standalone.Worker) { t.Helper(); hit(t, w.PID(), syscall.SIGINT) },
			[]string{"exited with status 10"},
			"worker reverse/3 exited with status 10",
		},
		"released": {"polite", func(_ *testing.T, w *standalone.Worker) { w.Release(); w.Release() }, []string{"left: counters false", "exited with status 0"}, ""},
		"stopped process": {
			"polite", func(t *testing.T, w *standalone.Worker) {
				t.Helper()
				hit(t, w.PID(), syscall.SIGSTOP)
				awaitStopped(t, w.PID())
				if err := w.Ping(t.Context()); err != nil {
					t.Error(err)
				}
				drain(t, w)
			},
			[]string{"retiring: drain", "left: counters false", "exited with status 0"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := b.play(t, c.mode, nil)
			c.end(t, w)
			if diff := cmp.Diff(c.want, story(t, w)); diff != "" {
				t.Error(diff)
			}
			if err := w.Err(); (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("error %v, want %q", err, c.err)
			}
			wantGone(t, w)
		})
	}
}

// awaitStopped waits until a process is stopped.
func awaitStopped(t *testing.T, pid int) {
	t.Helper()
	testutil.WaitFor(t, "the stop", func() bool { return state(t, pid) == 'T' })
}

// state is that of a process, see proc_pid_stat(5).
func state(t *testing.T, pid int) byte {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		if rest := text[i:]; len(rest) > 7 && string(rest[:7]) == "State:\t" {
			return rest[7]
		}
	}
	t.Fatalf("no state in %q", text)
	return 0
}

// wantGone makes every call to a worker that has ended.
func wantGone(t *testing.T, w *standalone.Worker) {
	t.Helper()
	ctx := t.Context()
	for name, err := range map[string]error{
		"drain": w.Drain(ctx, "again"), "ping": w.Ping(ctx), "release": w.Go(ctx, workerpb.Hold_HOLD_NONE, 0),
		"set": w.Set(ctx, &workerpb.Settings{Limits: &workerpb.Limits{MaxMemory: 1, MaxLifetimeMs: 1}}),
	} {
		var call *host.CallError
		if !errors.As(err, &call) || !errors.Is(err, host.ErrEnded) || call.Call != name || call.Worker != "reverse/3" {
			t.Errorf("%s: %v, want ErrEnded", name, err)
		}
	}
	w.Release()
	if err := w.Kill(); err != nil {
		t.Error(err)
	}
	if err := w.Suspect(ctx, &workerpb.Suspects{}); err != nil {
		t.Error(err)
	}
}

// TestOneSignal drains a worker that ignores it again and again, and then has to be
// killed.
func TestOneSignal(t *testing.T) {
	b := setup(t, nil)
	w, out := b.play(t, "counting", nil)
	for range 3 {
		if err := w.Drain(t.Context(), "stop"); err != nil {
			t.Error(err)
		}
		w.Release()
	}
	out.await(t, "term 1")
	hit(t, w.PID(), syscall.SIGINT) // comes after what was sent before
	if diff := cmp.Diff([]string{"retiring: drain", "left: counters false", "exited with status 11"}, story(t, w)); diff != "" {
		t.Error(diff)
	}
}

func TestStubborn(t *testing.T) {
	b := setup(t, nil)
	w, _ := b.play(t, "stubborn", nil)
	if err := w.Drain(t.Context(), "stop"); err != nil {
		t.Fatal(err)
	}
	if reason := retiring(t, w).GetDetail(); reason != "stop" {
		t.Errorf("drained because of %q", reason)
	}
	quiet(t, w, 1)
	if err := w.Kill(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"killed by SIGKILL"}, story(t, w)); diff != "" {
		t.Error(diff)
	}
}

func TestStopSignal(t *testing.T) {
	b := setup(t, func(cfg *standalone.Config) { cfg.StopSignal = syscall.SIGUSR1 })
	w, out := b.play(t, "polite to SIGUSR1", nil)
	if err := w.Drain(t.Context(), "stop"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"retiring: drain", "left: counters false", "exited with status 0"}, story(t, w)); diff != "" {
		t.Error(diff)
	}
	out.await(t, "leaving")
}

// TestCallsThatCannotBe are those for which the program would have to listen.
func TestCallsThatCannotBe(t *testing.T) {
	b := setup(t, nil)
	w, _ := b.play(t, "polite", nil)
	ctx := t.Context()
	if err := errors.Join(w.Go(ctx, workerpb.Hold_HOLD_NONE, 2), w.Ping(ctx), w.Suspect(ctx, nil)); err != nil {
		t.Error(err)
	}
	if w.Err() != nil {
		t.Errorf("error %v of one that lives", w.Err())
	}
	for _, err := range []error{w.Pause(ctx, "reverse"), w.Resume(ctx)} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	}
	for _, s := range []*workerpb.Settings{
		{Servers: &workerpb.ServerList{}}, {Functions: &workerpb.FunctionList{}}, {Slots: &workerpb.SlotList{}},
	} {
		if err := w.Set(ctx, s); !errors.Is(err, standalone.ErrFixed) {
			t.Errorf("set %v: %v", s, err)
		}
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range []error{w.Drain(over, ""), w.Ping(over), w.Set(over, &workerpb.Settings{})} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	quiet(t, w, 0)
	if !alive(w.PID()) {
		t.Error("it has ended")
	}
}

// TestGroup looks for what a worker has started after its end.
func TestGroup(t *testing.T) {
	for name, c := range map[string]struct {
		keep bool
		end  func(context.Context, *standalone.Worker) error
	}{
		"drained":            {false, func(ctx context.Context, w *standalone.Worker) error { return w.Drain(ctx, "stop") }},
		"killed":             {false, func(_ context.Context, w *standalone.Worker) error { return w.Kill() }},
		"drained, and spare": {true, func(ctx context.Context, w *standalone.Worker) error { return w.Drain(ctx, "stop") }},
		"killed, and spare":  {true, func(_ context.Context, w *standalone.Worker) error { return w.Kill() }},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, nil)
			launch, out := b.launch("family", nil)
			launch.KeepGroup = c.keep
			w := b.start(t, launch)
			child, err := strconv.Atoi(out.await(t, "child "))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("printed: %q", out.all())
				}
			})
			testutil.WaitFor(t, "both to be ready", func() bool { return out.count("stdout: ready") == 2 })
			if err := c.end(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			testutil.Receive(t, "the end", w.Done())
			want := "killed by SIGKILL"
			if c.keep {
				hit(t, child, syscall.SIGINT)
				want = "exited with status 10" // and it got no SIGTERM
			}
			for { // the test's own children may come here too
				if exit := testutil.Receive(t, "the end of the child", b.orphans); exit.PID == child {
					if exit.String() != want {
						t.Errorf("the child %s, want %q", exit, want)
					}
					return
				}
			}
		})
	}
}
