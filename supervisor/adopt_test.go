package supervisor_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// forker is a process that forks workers which come to us; see
// testdata/forker.pl. It is for one goroutine.
type forker struct {
	proc  *supervisor.Process
	in    *os.File
	lines *bufio.Scanner
	gate  *os.File // workers that live exit when it is closed
}

// startForker uses sup, and gives stdout to the forker and its workers.
func startForker(sup *supervisor.Supervisor, perl string) (*forker, error) {
	in, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	gate, gateW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p, err := sup.Start(supervisor.Spec{
		Name: "forker", Path: perl, Args: []string{"testdata/forker.pl"},
		Stdin: in, Stdout: outW, Stderr: os.Stderr, ExtraFiles: []*os.File{gate},
	})
	if err != nil {
		return nil, err
	}
	_, _, _ = in.Close(), outW.Close(), gate.Close()
	return &forker{proc: p, in: inW, lines: bufio.NewScanner(out), gate: gateW}, nil
}

// fork asks for a worker and returns its number when it is ours.
func (f *forker) fork(life string, status int) (pid int, err error) {
	if _, err := fmt.Fprintln(f.in, life, status); err != nil {
		return 0, err
	}
	if pid, err = f.pid("worker"); err != nil {
		return 0, err
	}
	_, err = f.pid("forked")
	return pid, err
}

func (f *forker) pid(word string) (int, error) {
	for f.lines.Scan() {
		if rest, ok := strings.CutPrefix(f.lines.Text(), word+" "); ok {
			return number(rest), nil
		}
	}
	return 0, fmt.Errorf("the forker ended without %q: %w", word, errors.Join(f.lines.Err(), os.ErrClosed))
}

func newForker(t *testing.T) *forker {
	t.Helper()
	f, err := startForker(shared, testutil.Need(t, "perl", "perl-base"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = f.in.Close(), f.gate.Close()
		_ = f.proc.Kill()
		wait(t, f.proc)
	})
	return f
}

func (f *forker) mustFork(t *testing.T, life string, status int) int {
	t.Helper()
	pid, err := f.fork(life, status)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func expect(t *testing.T) *supervisor.Expected {
	t.Helper()
	e, err := shared.Expect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Cancel)
	return e
}

// adopted is a worker of that life, with its number as name.
func adopted(t *testing.T, f *forker, life string, status int) *supervisor.Process {
	t.Helper()
	e := expect(t)
	pid := f.mustFork(t, life, status)
	p, err := e.Adopt(pid, supervisor.Adoption{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustExit(t *testing.T, p *supervisor.Process, status int) {
	t.Helper()
	if e := wait(t, p); e.Code != status || e.Signal != 0 || e.PID != p.PID() || e.At.Before(p.Started()) {
		t.Errorf("want status %d, got %+v", status, e)
	}
}

func TestAnAdoptedWorkerIsAProcess(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	e := expect(t)
	pid := f.mustFork(t, "lives", 42)
	before := time.Now()
	p, err := e.Adopt(pid, supervisor.Adoption{Name: "resize/3"})
	if err != nil {
		t.Fatal(err)
	}
	if p.PID() != pid || p.Name() != "resize/3" || p.Started().Before(before) || p.Started().After(time.Now()) {
		t.Errorf("pid %d, name %q, started %v", p.PID(), p.Name(), p.Started())
	}
	if start, err := supervisor.StartTimeOf(pid); err != nil || start == 0 || p.StartTime() != start {
		t.Errorf("start time %d, want %d, %v", p.StartTime(), start, err)
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("its group is %d, %v", group, err)
	}
	if !slices.Contains(shared.Processes(), p) {
		t.Error("it is not listed")
	}
	if e := p.Exit(); e != (supervisor.Exit{}) {
		t.Errorf("before its end: %+v", e)
	}
	_ = f.gate.Close()
	mustExit(t, p, 42)
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, supervisor.ErrExited) {
		t.Errorf("signal after its end: %v", err)
	}
	if slices.Contains(shared.Processes(), p) {
		t.Error("it is listed after its end")
	}
}

func TestAdoptedByNumberOnly(t *testing.T) {
	t.Parallel()
	p := adopted(t, newForker(t), "lives", 0)
	if want := fmt.Sprintf("process %d", p.PID()); p.Name() != want {
		t.Errorf("named %q, want %q", p.Name(), want)
	}
}

func TestAWorkerThatDiedBeforeItsAdoption(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	for i, life := range []string{"dead", "executed", "dead"} {
		e := expect(t)
		pid := f.mustFork(t, life, 200+i)
		if !supervisor.IsZombie(pid) {
			t.Fatalf("%s: worker %d is no zombie of ours", life, pid)
		}
		p, err := e.Adopt(pid, supervisor.Adoption{Name: life})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Errorf("%s: kill after its end: %v", life, err)
		}
		mustExit(t, p, 200+i)
	}
}

func TestAnAdoptedGroupGoesWithItsLeader(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"kill", "exit"} {
		f := newForker(t)
		p, member := family(t, f, supervisor.Adoption{})
		if end == "kill" {
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
		} else {
			_ = f.gate.Close()
		}
		wait(t, p)
		if e := orphan(t, member); e.Signal != syscall.SIGKILL {
			t.Errorf("%s: member: %v", end, e)
		}
	}
}

func TestKeepGroupOfAnAdopted(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	p, member := family(t, f, supervisor.Adoption{KeepGroup: true})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if e := wait(t, p); e.Signal != syscall.SIGKILL {
		t.Errorf("leader: %v", e)
	}
	if group, err := syscall.Getpgid(member); err != nil || group != p.PID() || gone(member) {
		t.Errorf("the member is in group %d, %v, or was killed", group, err)
	}
	_ = syscall.Kill(member, syscall.SIGKILL)
	orphan(t, member)
}

// family adopts a worker that then starts a member of its group.
func family(t *testing.T, f *forker, a supervisor.Adoption) (p *supervisor.Process, member int) {
	t.Helper()
	e := expect(t)
	p, err := e.Adopt(f.mustFork(t, "family", 0), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.gate.WriteString("!"); err != nil {
		t.Fatal(err)
	}
	if member, err = f.pid("member"); err != nil {
		t.Fatal(err)
	}
	return p, member
}

func TestTheForkerTakesNoAdoptedWorkerAlong(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	var all []*supervisor.Process
	for i := range 5 {
		all = append(all, adopted(t, f, "lives", i))
	}
	if err := f.proc.Kill(); err != nil { // its whole group
		t.Fatal(err)
	}
	if e := wait(t, f.proc); e.Signal != syscall.SIGKILL {
		t.Errorf("forker: %v", e)
	}
	_ = f.gate.Close()
	for i, p := range all {
		mustExit(t, p, i) // and not SIGKILL
	}
}

func TestTheForkerTakesAlongWhatIsNotAdopted(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	e := expect(t)
	pid := f.mustFork(t, "lives", 0)
	if err := f.proc.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, f.proc)
	p, err := e.Adopt(pid, supervisor.Adoption{Name: "late"})
	if err != nil {
		t.Fatal(err)
	}
	if e := wait(t, p); e.Signal != syscall.SIGKILL || e.PID != pid {
		t.Errorf("got %+v", e)
	}
}

func TestAWorkerThatLeadsAlready(t *testing.T) {
	t.Parallel()
	for _, life := range []string{"leads", "session"} {
		f := newForker(t)
		p := adopted(t, f, life, 9)
		_ = f.gate.Close()
		mustExit(t, p, 9)
	}
}

func TestAWorkerThatCannotLead(t *testing.T) {
	t.Parallel()
	for life, want := range map[string]error{"executes": syscall.EACCES, "foreign": syscall.EPERM} {
		f := newForker(t)
		e := expect(t)
		pid := f.mustFork(t, life, 12)
		awaitRefusal(t, e, pid, life, want)
		if slices.ContainsFunc(shared.Processes(), func(p *supervisor.Process) bool { return p.PID() == pid }) {
			t.Errorf("%s: registered all the same", life)
		}
		e.Cancel()
		_ = f.gate.Close()
		if e := orphan(t, pid); e.Code != 12 {
			t.Errorf("%s: %v", life, e)
		}
	}
}

// awaitRefusal adopts when the worker is what its life says: it may execute a
// program somewhat later than it is forked.
func awaitRefusal(t *testing.T, e *supervisor.Expected, pid int, life string, want error) {
	t.Helper()
	if life == "executes" {
		testutil.WaitFor(t, "the worker executes sh", func() bool {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			return strings.HasPrefix(string(name), "/bin/sh")
		})
	}
	p, err := e.Adopt(pid, supervisor.Adoption{Name: life})
	var refused *supervisor.AdoptError
	if p != nil || !errors.As(err, &refused) || !errors.Is(err, want) {
		t.Fatalf("%s: %v, %v", life, p, err)
	}
	prefix := fmt.Sprintf("adopt %s: process %d ", life, pid)
	if text := err.Error(); !strings.HasPrefix(text, prefix) || !strings.Contains(text, "group of its own") {
		t.Errorf("%s: %v", life, err)
	}
}

func TestWrongNumbersAreRefused(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	started, grandchild := startReady(t, child("leader"))
	e := expect(t)
	pid := f.mustFork(t, "lives", 3)
	for number, want := range map[int]error{
		os.Getpid(): syscall.ECHILD, os.Getppid(): syscall.ECHILD, grandchild: syscall.ECHILD,
		1: syscall.ECHILD, 0: syscall.ECHILD, -1: syscall.ECHILD, -pid: syscall.ECHILD, 1<<31 - 1: syscall.ECHILD,
		started.PID(): syscall.EEXIST, f.proc.PID(): syscall.EEXIST,
	} {
		p, err := e.Adopt(number, supervisor.Adoption{Name: "wrong"})
		var refused *supervisor.AdoptError
		if p != nil || !errors.As(err, &refused) || refused.PID != number || !errors.Is(err, want) {
			t.Errorf("process %d: %v, %v", number, p, err)
		}
	}
	p, err := e.Adopt(pid, supervisor.Adoption{}) // is expected still
	if err != nil {
		t.Fatal(err)
	}
	again := expect(t)
	if _, err := again.Adopt(pid, supervisor.Adoption{}); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("adopted already: %v", err)
	}
	_ = f.gate.Close()
	mustExit(t, p, 3)
	if _, err := again.Adopt(pid, supervisor.Adoption{}); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("after its end: %v", err)
	}
	again.Cancel() // what nobody knows waits for it
	_ = started.Kill()
	wait(t, started)
	orphan(t, grandchild)
}

func TestAnExpectIsGoodForOne(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	e := expect(t)
	first, second := f.mustFork(t, "lives", 1), f.mustFork(t, "lives", 2)
	p, err := e.Adopt(first, supervisor.Adoption{})
	if err != nil {
		t.Fatal(err)
	}
	e.Cancel()
	e.Cancel()
	if _, err := e.Adopt(second, supervisor.Adoption{Name: "second"}); !errors.Is(err, supervisor.ErrNotExpected) {
		t.Errorf("adopted again: %v", err)
	}
	other := expect(t)
	other.Cancel()
	if _, err := other.Adopt(second, supervisor.Adoption{Name: "second"}); !errors.Is(err, supervisor.ErrNotExpected) {
		t.Errorf("adopted after Cancel: %v", err)
	}
	_ = f.gate.Close()
	mustExit(t, p, 1)
	if e := orphan(t, second); e.Code != 2 {
		t.Errorf("second: %v", e)
	}
}
