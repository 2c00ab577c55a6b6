package standalone_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/standalone"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// bundle is a host with its supervisor. There is one supervisor in a process, so the
// tests that need one run one after the other.
type bundle struct {
	sup     *supervisor.Supervisor
	orphans chan supervisor.Exit
	host    *standalone.Host
	self    string
}

func setup(t *testing.T, change func(*standalone.Config)) *bundle {
	t.Helper()
	orphans := make(chan supervisor.Exit, 64)
	sup, err := newSupervisor(func(e supervisor.Exit) {
		select {
		case orphans <- e:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sup.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := standalone.Config{Supervisor: sup, Servers: []string{"127.0.0.1:4730", "[::1]:4731"}}
	if change != nil {
		change(&cfg)
	}
	return &bundle{sup: sup, orphans: orphans, host: standalone.New(cfg), self: self}
}

// printed keeps the lines of a worker.
type printed struct {
	mu    sync.Mutex
	lines []string
}

func (p *printed) add(stream, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, stream+": "+line)
}

func (p *printed) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// count tells how often a line was printed.
func (p *printed) count(line string) (n int) {
	for _, l := range p.all() {
		if l == line {
			n++
		}
	}
	return n
}

// await waits for a line that begins so on the standard output, and returns its rest.
func (p *printed) await(t *testing.T, prefix string) (rest string) {
	t.Helper()
	testutil.WaitFor(t, "line "+prefix, func() bool {
		for _, line := range p.all() {
			if after, ok := strings.CutPrefix(line, host.Stdout+": "+prefix); ok {
				rest = after
				return true
			}
		}
		return false
	})
	return rest
}

// launch is that of the test binary as a worker.
func (b *bundle) launch(mode string, limits *workerpb.Limits) (host.Launch, *printed) {
	out := &printed{}
	return host.Launch{
		Name: "reverse/3", Path: b.self, Argv0: "gearman-manager: reverse/3", Env: environment(mode),
		Request: func() *workerpb.RunRequest {
			return &workerpb.RunRequest{
				Contract: 1, Worker: "reverse/3", Limits: limits,
				Functions: []*workerpb.Function{{Name: "reverse"}, {Name: "upper"}},
			}
		},
		Output: out.add,
	}, out
}

// start starts a worker, which the end of the test kills.
func (b *bundle) start(t *testing.T, launch host.Launch) *standalone.Worker {
	t.Helper()
	w, err := b.host.Start(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Kill()
		testutil.Receive(t, "the end of the worker", w.Done())
	})
	return w
}

// play starts the test binary as a worker and waits until it says that it is ready.
func (b *bundle) play(t *testing.T, mode string, limits *workerpb.Limits) (*standalone.Worker, *printed) {
	t.Helper()
	launch, out := b.launch(mode, limits)
	w := b.start(t, launch)
	out.await(t, "ready")
	return w, out
}

// story is what is heard of a worker until its end.
func story(t *testing.T, w *standalone.Worker) []string {
	t.Helper()
	var told []string
	for {
		ev := testutil.Receive(t, "an event, or the end of them", w.Events())
		switch e := ev.GetEvent().(type) {
		case nil:
			testutil.Receive(t, "the end of the worker", w.Done())
			return append(told, w.Exit().String())
		case *workerpb.Event_Retiring:
			told = append(told, "retiring: "+e.Retiring.GetReason())
		case *workerpb.Event_Left:
			told = append(told, fmt.Sprintf("left: counters %v", e.Left.GetCounters() != nil))
		default:
			told = append(told, fmt.Sprintf("%T", e))
		}
	}
}

// retiring waits for that event.
func retiring(t *testing.T, w *standalone.Worker) *workerpb.Retiring {
	t.Helper()
	ev := testutil.Receive(t, "retiring", w.Events())
	if ev.GetRetiring() == nil {
		t.Fatalf("got %v, want retiring", ev)
	}
	return ev.GetRetiring()
}

// quiet sees that no event comes for some seconds.
func quiet(t *testing.T, w *standalone.Worker, seconds int) {
	t.Helper()
	testutil.Pause(t, seconds)
	select {
	case ev := <-w.Events():
		t.Fatalf("got %v, want nothing", ev)
	default:
	}
}

// hit sends a signal to a process of the test.
func hit(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// milliseconds are those of a limit.
func milliseconds(d time.Duration) uint64 { return uint64(d.Milliseconds()) }
