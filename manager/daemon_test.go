package manager

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// daemonEnv makes the test binary a manager of its own, and says of what.
const daemonEnv = "MANAGER_TEST_DAEMON"

// daemonConfig is what it says.
type daemonConfig struct {
	Addr    string
	Dir     string // runtime directory
	Pools   []PoolPlan
	Verbose bool
}

// runDaemon runs a manager until SIGTERM. It prints a line for each event.
func runDaemon(text string) int {
	var cfg daemonConfig
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		panic(err)
	}
	settings, problems := config.Parse("", nil, config.Overrides{
		{Key: "host", Value: cfg.Addr}, {Key: "runtime_dir", Value: cfg.Dir},
	})
	if config.HasErrors(problems) {
		panic(problems)
	}
	m, err := New(Config{
		Settings: settings, Plan: &Plan{Pools: cfg.Pools}, Hostname: "web1", Logger: zerolog.Nop(),
		OnEvent: printEvent,
	})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := m.Run(ctx); err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}

func printEvent(e Event) {
	switch e := e.(type) {
	case WorkerStarted:
		fmt.Println("started", e.PID)
	case WorkerReady:
		fmt.Println("ready", e.PID)
	case SlotConnected:
		fmt.Println("connected", e.Slot)
	case LeftoverFound:
		fmt.Println("leftover", e.PID)
	case LeftoverEnded:
		fmt.Println("ended", e.PID, e.Killed)
	}
}

// daemon is a manager in a process of its own.
type daemon struct {
	t   *testing.T
	cmd *osexec.Cmd

	mu    sync.Mutex
	lines []string
	over  chan struct{} // closed when it has ended
	err   error         // of its end, valid then
}

func startDaemon(t *testing.T, cfg daemonConfig) *daemon {
	t.Helper()
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, cmd: osexec.Command(self), over: make(chan struct{})}
	d.cmd.Env = append(os.Environ(), daemonEnv+"="+string(text), "GORACE=atexit_sleep_ms=0")
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.over)
		for s := bufio.NewScanner(out); s.Scan(); {
			d.mu.Lock()
			d.lines = append(d.lines, s.Text())
			d.mu.Unlock()
		}
		d.err = d.cmd.Wait()
	}()
	t.Cleanup(func() {
		d.signal(syscall.SIGKILL)
		<-d.over
		d.allGone()
	})
	return d
}

func (d *daemon) signal(sig syscall.Signal) { _ = d.cmd.Process.Signal(sig) } // it may have ended

// said returns the second words of the lines that begin with a word.
func (d *daemon) said(word string) (rest []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.lines {
		if after, ok := strings.CutPrefix(line, word+" "); ok {
			rest = append(rest, after)
		}
	}
	return rest
}

func (d *daemon) wait(word string, n int) {
	d.t.Helper()
	testutil.WaitFor(d.t, fmt.Sprintf("%d times %q", n, word), func() bool { return len(d.said(word)) >= n })
}

// allGone waits until none of its workers is left.
func (d *daemon) allGone() {
	d.t.Helper()
	for _, text := range d.said("started") {
		pid, err := strconv.Atoi(text)
		if err != nil {
			d.t.Fatal(err)
		}
		testutil.WaitFor(d.t, fmt.Sprintf("worker %d is gone", pid), func() bool { return !running(pid) })
	}
}

// running tells whether a process exists and is no zombie.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])[0]
	return string(state) != "Z"
}

// runtimeDir is a short directory for the daemons of a test.
func runtimeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gm") //nolint:usetesting // those are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestKilledManager(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		d := startDaemon(t, daemonConfig{
			Addr: addr, Dir: runtimeDir(t),
			Pools: []PoolPlan{dedicated("wait", 4), dedicated("print", 2), command("sleep", 4, "/bin/sh", "-c", "sleep 0.5; echo slept")},
		})
		d.wait("connected", 10)
		client := jobtest.NewClient(t, addr)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var tasks []*gearclient.Task
		for _, function := range []string{"wait", "wait", "print", "sleep", "sleep"} {
			task, err := client.Submit(ctx, gearclient.Request{Function: function, Workload: []byte("500ms")})
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, task)
		}
		waitRunning(ctx, t, addr, 5)
		d.signal(syscall.SIGKILL)
		for i, task := range tasks {
			got, err := task.Wait(ctx)
			if text := strings.TrimSpace(string(got)); err != nil || text != "waited" && text != "slept" {
				t.Errorf("job %d: %q, %v", i, got, err)
			}
		}
		begun := time.Now()
		d.allGone()
		t.Logf("no worker was left %v after the last job", time.Since(begun))
	})
}

// waitRunning waits until so many jobs run.
func waitRunning(ctx context.Context, t *testing.T, addr string, want int) {
	t.Helper()
	admin := jobtest.NewAdmin(t, addr)
	testutil.WaitFor(t, "all jobs run", func() bool {
		list, err := admin.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range list {
			n += s.Running
		}
		return n == want
	})
}

// TestKilledManagerWhileStarting: nothing is left of a manager that dies between
// the start of its workers and their hello.
func TestKilledManagerWhileStarting(t *testing.T) {
	addr := startEmbedded(t)
	for n := range 8 {
		d := startDaemon(t, daemonConfig{Addr: addr, Dir: runtimeDir(t), Pools: []PoolPlan{dedicated("echo", 8), command("cat", 2, "cat")}})
		d.wait("started", n+1)
		d.signal(syscall.SIGKILL)
		<-d.over
		d.allGone()
	}
}

func TestTerminatedManager(t *testing.T) {
	addr := startEmbedded(t)
	dir := runtimeDir(t)
	d := startDaemon(t, daemonConfig{Addr: addr, Dir: dir, Pools: []PoolPlan{dedicated("echo", 3)}})
	d.wait("connected", 3)
	d.signal(syscall.SIGTERM)
	<-d.over
	if d.err != nil {
		t.Error(d.err)
	}
	for _, pid := range d.said("started") {
		if n, _ := strconv.Atoi(pid); running(n) {
			t.Errorf("worker %s is left", pid)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the runtime directory is left: %v", err)
	}
}

// TestLeftovers: a manager deals with workers of a dead one that do not leave by
// themselves. The worker is stopped when its manager is dead: one that is stopped by
// then gets SIGHUP and SIGCONT from the kernel, see setpgid(2).
func TestLeftovers(t *testing.T) {
	addr := startEmbedded(t)
	dir := runtimeDir(t)
	plan := dedicated("wait", 2)
	plan.Functions[0].Grace = time.Second
	cfg := daemonConfig{Addr: addr, Dir: dir, Pools: []PoolPlan{plan}}
	first := startDaemon(t, cfg)
	first.wait("connected", 2)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 2 { // so that neither leaves at once
		if _, err := jobtest.NewClient(t, addr).Submit(ctx, gearclient.Request{Function: "wait", Workload: []byte("10m")}); err != nil {
			t.Fatal(err)
		}
	}
	waitRunning(ctx, t, addr, 2)
	first.signal(syscall.SIGKILL)
	<-first.over
	stuck, err := strconv.Atoi(first.said("ready")[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(stuck, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second := startDaemon(t, cfg)
	second.wait("connected", 2)
	second.wait("leftover", 2)
	testutil.WaitFor(t, "the stuck one is killed", func() bool {
		return slices.Contains(second.said("ended"), fmt.Sprintf("%d true", stuck))
	})
	first.allGone()
	testutil.WaitFor(t, "the dead one's directory is removed", func() bool {
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) == 1
	})
	second.signal(syscall.SIGTERM)
	<-second.over
}

// TestIdleManager counts how often a manager with 20 idle workers wakes up.
func TestIdleManager(t *testing.T) {
	addr := startEmbedded(t)
	d := startDaemon(t, daemonConfig{Addr: addr, Dir: runtimeDir(t), Pools: []PoolPlan{dedicated("echo", 20)}})
	d.wait("connected", 20)
	// The runtime gives back the memory of the start for a while. A manager with a
	// ticker would have no quiet time at all.
	const length = 2 * time.Second
	for range 10 {
		before := testutil.ContextSwitches(t, d.cmd.Process.Pid)
		<-time.After(length)
		n := testutil.ContextSwitches(t, d.cmd.Process.Pid) - before
		t.Logf("%d voluntary context switches in %v", n, length)
		if n < int(length/time.Second) {
			return
		}
	}
	t.Error("an idle manager wakes up all the time")
}
