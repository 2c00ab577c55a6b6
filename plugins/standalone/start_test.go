package standalone_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/standalone"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// script is a worker in sh.
func (b *bundle) script(t *testing.T, text string) (host.Launch, *printed) {
	t.Helper()
	launch, out := b.launch("", nil)
	launch.Path, launch.Args, launch.Env = "/bin/sh", []string{"-c", text}, []string{"PATH=" + os.Getenv("PATH")}
	return launch, out
}

func TestEnvironment(t *testing.T) {
	b := setup(t, nil)
	launch, out := b.launch("plain", nil)
	launch.Env = append(launch.Env, "GEARMAN_SERVERS=elsewhere", "GEARMAN_WORKER=me", "COLOR=blue", "GEARMAN_SERVERSX=1")
	w := b.start(t, launch)
	out.await(t, "ready")
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(w.PID()) + "/environ") // as it is; programs drop doubles
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(environ), "\x00"), "\x00")
	slices.Sort(got)
	if diff := cmp.Diff([]string{
		"COLOR=blue", "GEARMAN_SERVERS=127.0.0.1:4730,[::1]:4731", "GEARMAN_SERVERSX=1", "GEARMAN_WORKER=reverse/3",
		"GORACE=atexit_sleep_ms=0", "STANDALONE_TEST_WORKER=plain",
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSurroundings(t *testing.T) {
	b := setup(t, nil)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	launch, out := b.script(t, `read -r line || echo "no input"; echo "in $(pwd), I am $0"; echo "oh" >&2; printf 'no end'; exec sleep 60`)
	launch.Args = append(launch.Args, "argument")
	launch.Dir = dir
	var pid int
	launch.Started = func(p *supervisor.Process) { pid = p.PID() }
	w := b.start(t, launch)
	testutil.WaitFor(t, "three lines", func() bool { return len(out.all()) == 3 })
	if err := w.Kill(); err != nil {
		t.Fatal(err)
	}
	testutil.Receive(t, "the end", w.Done())
	got := out.all()
	slices.Sort(got)
	if diff := cmp.Diff([]string{"stderr: oh", "stdout: in " + dir + ", I am argument", "stdout: no end", "stdout: no input"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"oh"}, w.Tail()); diff != "" {
		t.Error(diff)
	}
	last := w.LastLines()
	slices.Sort(last)
	if diff := cmp.Diff([]string{"in " + dir + ", I am argument", "no end", "no input", "oh"}, last); diff != "" {
		t.Error(diff)
	}
	if w.PID() != pid || w.Process().PID() != pid || int(w.Hello().GetPid()) != pid || w.Name() != "reverse/3" {
		t.Errorf("pid %d, started as %d, hello %v, name %q", w.PID(), pid, w.Hello(), w.Name())
	}
	if d := w.Hello().GetDescription(); d.GetAny() || !slices.Equal(d.GetFunctions(), []string{"reverse", "upper"}) {
		t.Errorf("description %v", d)
	}
}

// TestFlood prints more than anybody takes, and goes on.
func TestFlood(t *testing.T) {
	b := setup(t, nil)
	launch, _ := b.script(t, `seq 50000; echo done >&2; exec sleep 60`)
	gate := make(chan struct{})
	var taken, dropped atomic.Int64
	launch.Output = func(string, string) { <-gate; taken.Add(1) }
	launch.Dropped = func(stream string, lines int) {
		if stream == host.Stdout {
			dropped.Add(int64(lines))
		}
	}
	w := b.start(t, launch)
	testutil.WaitFor(t, "the last lines", func() bool {
		last := w.LastLines()
		return slices.Contains(last, "50000") && slices.Contains(last, "done")
	})
	close(gate)
	if err := w.Kill(); err != nil {
		t.Fatal(err)
	}
	testutil.Receive(t, "the end", w.Done())
	if all := taken.Load() + dropped.Load(); all != 50001 || dropped.Load() == 0 {
		t.Errorf("%d lines, %d of them dropped", all, dropped.Load())
	}
}

// TestArgv0 lets the program know itself by its own name.
func TestArgv0(t *testing.T) {
	b := setup(t, nil)
	w, _ := b.play(t, "plain", nil)
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(w.PID()) + "/cmdline")
	if name, _, _ := strings.Cut(string(cmdline), "\x00"); err != nil || name != b.self {
		t.Errorf("%q, %v, want %q", name, err, b.self)
	}
}

func TestReadyAfterStartSeconds(t *testing.T) {
	b := setup(t, func(cfg *standalone.Config) { cfg.StartSeconds = 300 * time.Millisecond })
	launch, _ := b.launch("polite", nil)
	var started time.Time
	launch.Started = func(p *supervisor.Process) { started = p.Started() }
	w := b.start(t, launch)
	if took := time.Since(started); took < 300*time.Millisecond || took > testutil.Patience {
		t.Errorf("ready after %v", took)
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExitBeforeReady(t *testing.T) {
	b := setup(t, func(cfg *standalone.Config) { cfg.StartSeconds = time.Minute })
	for name, c := range map[string]struct {
		script string
		code   int
		signal syscall.Signal
		says   string
		tail   []string
	}{
		"with a reason": {`echo hello; echo "no database" >&2; exit 3`, 3, 0, `it exited with status 3 after `, []string{"no database"}},
		"by stdout":     {`echo; echo "PHP Fatal error:  Uncaught Error"; echo "#0 {main}"; exit 255`, 255, 0, `: it printed "PHP Fatal error:  Uncaught Error"`, []string{"", "PHP Fatal error:  Uncaught Error", "#0 {main}"}},
		"by a signal":   {`kill -9 $$`, -1, syscall.SIGKILL, `it was killed by SIGKILL after `, nil},
		"as a daemon":   {`exit 0`, 0, 0, `want it to run for 1m0s at least, in the foreground`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			launch, _ := b.script(t, c.script)
			w, err := b.host.Start(t.Context(), launch)
			var (
				start *standalone.StartError
				exit  *host.ExitError
			)
			if w != nil || !errors.As(err, &start) || !errors.As(err, &exit) {
				t.Fatalf("got %v and %#v, want *StartError and *host.ExitError", w, err)
			}
			if exit.Path != "/bin/sh" || exit.Exit.Code != c.code || exit.Exit.Signal != c.signal || !slices.Equal(exit.Tail, c.tail) {
				t.Errorf("got %+v", exit)
			}
			if text := err.Error(); !strings.HasPrefix(text, "start reverse/3 with /bin/sh: it ") || !strings.Contains(text, c.says) {
				t.Errorf("error %q, want %q in it", text, c.says)
			}
			if start.Lived <= 0 || start.Lived > time.Minute || start.Want != time.Minute {
				t.Errorf("lived %v of %v", start.Lived, start.Want)
			}
		})
	}
}

func TestNothingToExecute(t *testing.T) {
	b := setup(t, nil)
	before := testutil.Descriptors(t)
	launch, _ := b.launch("polite", nil)
	launch.Path = "/nowhere/worker"
	launch.Started = func(*supervisor.Process) { t.Error("started") }
	var start *supervisor.StartError
	if _, err := b.host.Start(t.Context(), launch); !errors.As(err, &start) || start.Path != "/nowhere/worker" {
		t.Errorf("got %v", err)
	}
	if after := testutil.Descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// TestGivenUp ends the context before and in a start.
func TestGivenUp(t *testing.T) {
	b := setup(t, func(cfg *standalone.Config) { cfg.StartSeconds = time.Hour })
	cause := errors.New("the manager stops")
	launch, _ := b.launch("stubborn", nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	launch.Started = func(*supervisor.Process) { cancel(cause) }
	if _, err := b.host.Start(ctx, launch); !errors.Is(err, cause) || err.Error() != "start reverse/3: the manager stops" {
		t.Errorf("in the start: %v", err)
	}
	if n := len(b.sup.Processes()); n != 0 {
		t.Errorf("%d processes left", n)
	}
	launch.Started = func(*supervisor.Process) { t.Error("started") }
	if _, err := b.host.Start(ctx, launch); !errors.Is(err, cause) {
		t.Errorf("before the start: %v", err)
	}
}
