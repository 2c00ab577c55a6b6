package supervisor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// role is the variable that makes the test binary one of the children below.
const role = "SUPERVISOR_TEST_ROLE"

// shared is the one supervisor of the test process.
var (
	shared  *supervisor.Supervisor
	orphans = make(chan supervisor.Exit, 1024)
	stops   = &changes{all: make(map[int][]bool)}
)

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" {
		os.Exit(play(r, os.Args[1:]))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	shared, err = supervisor.New(supervisor.Config{Subreaper: true, OnStopped: stops.add, OnOrphan: func(e supervisor.Exit) {
		select {
		case orphans <- e:
		default:
		}
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := shared.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// roles are what the children do.
func roles() map[string]func(args []string) int {
	return map[string]func([]string) int{
		"exit":              func(args []string) int { return number(args[0]) },
		"cat":               func([]string) int { _, _ = io.Copy(os.Stdout, os.Stdin); return 0 },
		"block":             func([]string) int { ready(); return forever() },
		"stubborn":          stubborn,
		"raise":             raise,
		"inherit":           inherit,
		"leader":            leader,
		"daemonize":         daemonize,
		"flood":             flood,
		"environ":           func([]string) int { fmt.Println(strings.Join(os.Environ(), "\n")); return 0 },
		"supervise":         supervise,
		"lifecycle":         lifecycle,
		"stress":            stress,
		"crowd":             crowd,
		"unplaced":          unplaced,
		"masked":            masked,
		"ignorant":          ignorant,
		"family of 700":     adoptMany,
		"expecting":         expecting,
		"expected too long": expectedTooLong,
		"recording":         recording,
		"unprivileged":      unprivileged,
		"debug":             debug,
		"out of memory":     outOfMemory,
		"hogged":            hogged,
		"hog":               hog,
		"idle outputs":      idleOutputs,
		"say3":              func([]string) int { _, _ = os.NewFile(3, "three").WriteString("on three\n"); return 0 },
	}
}

func play(name string, args []string) int {
	runtime.LockOSThread()
	return roles()[name](args)
}

// forever is longer than any test; a child that is left over by one ends at last.
func forever() int { <-time.After(5 * time.Minute); return 99 }

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// ready tells the test on stdout that the child is what it is going to be.
func ready() { fmt.Printf("ready %d\n", os.Getpid()) }

// stubborn ignores the signals that ask a process to end.
func stubborn([]string) int {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	ready()
	return forever()
}

// raise kills itself by the signal of that number.
func raise(args []string) int {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	sig := syscall.Signal(number(args[0]))
	signal.Reset(sig)
	_ = syscall.Kill(os.Getpid(), sig)
	return forever()
}

// spawn starts the test binary in another role without a supervisor, as a
// program does that knows nothing of us.
func spawn(r string, attr *syscall.SysProcAttr, args ...string) int {
	pid, err := syscall.ForkExec("/proc/self/exe", append([]string{r}, args...), &syscall.ProcAttr{
		Env:   environ(r),
		Files: []uintptr{0, 1, 2},
		Sys:   attr,
	})
	if err != nil {
		panic(err)
	}
	return pid
}

// inherit leaves a child in its group that holds its files.
func inherit(args []string) int {
	spawn("block", nil)
	fmt.Println("last words")
	return number(args[0])
}

// leader starts a child in its group and lives on.
func leader([]string) int {
	spawn("block", nil)
	return forever()
}

// daemonize leaves a grandchild in a session of its own, whose parent is gone:
// "daemonize again STATUS" is the parent in the middle.
func daemonize(args []string) int {
	if args[0] != "again" {
		pid := spawn("daemonize", nil, "again", args[0])
		var status syscall.WaitStatus
		_, _ = syscall.Wait4(pid, &status, 0, nil)
		return status.ExitStatus()
	}
	pid := spawn("exit", &syscall.SysProcAttr{Setsid: true}, args[1])
	fmt.Printf("daemon %d\n", pid)
	return 0
}

// flood writes that many lines.
func flood(args []string) int {
	w := bufio.NewWriter(os.Stdout)
	for i := range number(args[0]) {
		_, _ = fmt.Fprintf(w, "line %d\n", i)
	}
	_ = w.Flush()
	return 0
}

// environ makes the test binary play a role, and end at once when it is done: the
// race detector's runtime waits for a second otherwise.
func environ(r string) []string { return []string{role + "=" + r, "GORACE=atexit_sleep_ms=0"} }

// child is the Spec of the test binary in a role.
func child(r string, args ...string) supervisor.Spec {
	return supervisor.Spec{Name: r, Path: "/proc/self/exe", Args: args, Env: environ(r)}
}

func start(t *testing.T, spec supervisor.Spec) *supervisor.Process {
	t.Helper()
	p, err := shared.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Kill()
		wait(t, p)
	})
	return p
}

// startReady starts a process and waits until it is ready; pid is the one that
// it names in its line "ready PID", its own or that of another.
func startReady(t *testing.T, spec supervisor.Spec) (p *supervisor.Process, pid int) {
	t.Helper()
	lines, w := pipe(t)
	spec.Stdout = w
	p = start(t, spec)
	return p, pidIn(t, lines, "ready")
}

func wait(t *testing.T, p *supervisor.Process) supervisor.Exit {
	t.Helper()
	select {
	case <-p.Done():
		return p.Exit()
	case <-time.After(time.Minute):
		t.Fatalf("%s (pid %d) did not end", p.Name(), p.PID())
		panic("unreachable")
	}
}

// gone tells whether a process has ended, be it a zombie.
func gone(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return rest[0] == 'Z' || rest[0] == 'X'
}

// pipe gives a child a stdout of which the test reads lines.
func pipe(t *testing.T) (*bufio.Scanner, *os.File) {
	t.Helper()
	r, w, err := supervisor.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	late := time.AfterFunc(time.Minute, func() {
		t.Error("a pipe has no end after a minute")
		r.Finish()
	})
	t.Cleanup(func() { late.Stop() })
	return bufio.NewScanner(r), w
}

// pidIn reads a line "word PID".
func pidIn(t *testing.T, lines *bufio.Scanner, word string) int {
	t.Helper()
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), word+" "); ok {
			return number(rest)
		}
	}
	t.Fatalf("no line %q PID: %v", word, lines.Err())
	return 0
}
