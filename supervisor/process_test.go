package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestEveryStatusIsExact(t *testing.T) {
	t.Parallel()
	for code := range 256 {
		p := start(t, sh(fmt.Sprintf("exit %d", code)))
		if e := wait(t, p); e.Code != code || e.Signal != 0 || e.PID != p.PID() || e.Success() != (code == 0) {
			t.Errorf("exit %d: got %+v", code, e)
		}
	}
}

func sh(script string) supervisor.Spec {
	return supervisor.Spec{Name: "sh", Path: "/bin/sh", Args: []string{"-c", script}}
}

func TestDeathBySignalIsTold(t *testing.T) {
	t.Parallel()
	for sig, text := range map[syscall.Signal]string{
		syscall.SIGSEGV: "killed by SIGSEGV",
		syscall.SIGKILL: "killed by SIGKILL",
		syscall.SIGTERM: "killed by SIGTERM",
		syscall.SIGABRT: "killed by SIGABRT",
		40:              "killed by signal 40",
	} {
		p := start(t, sh(fmt.Sprintf("ulimit -c 0; kill -%d $$", sig)))
		e := wait(t, p)
		if e.Signal != sig || e.Code != -1 || e.Success() {
			t.Errorf("signal %d: got %+v", sig, e)
		}
		if e.String() != text {
			t.Errorf("signal %d: got %q, want %q", sig, e, text)
		}
	}
}

func TestExitInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		exit supervisor.Exit
		want string
	}{
		{supervisor.Exit{Code: 3}, "exited with status 3"},
		{supervisor.Exit{}, "exited with status 0"},
		{supervisor.Exit{Code: -1, Signal: syscall.SIGSEGV, CoreDumped: true}, "killed by SIGSEGV (core dumped)"},
		{supervisor.Exit{Code: -1}, "ended, its status was taken by somebody else"},
	} {
		if got := c.exit.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestUsageIsTheChildsOwn(t *testing.T) {
	t.Parallel()
	p := start(t, sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"))
	e := wait(t, p)
	if e.User <= 0 || e.User > time.Minute || e.MaxRSS < 500<<10 || e.MaxRSS > 4<<30 {
		t.Errorf("implausible usage: %+v", e)
	}
	if e.At.Before(p.Started()) {
		t.Errorf("ended at %v, before its start at %v", e.At, p.Started())
	}
}

func TestSignalGoesToTheLeaderOnly(t *testing.T) {
	t.Parallel()
	p, member := startReady(t, child("leader"))
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := wait(t, p); e.Signal != syscall.SIGTERM {
		t.Errorf("leader: %v", e)
	}
	// The member had no SIGTERM, but goes with its leader.
	e := orphan(t, member)
	if e.Signal != syscall.SIGKILL {
		t.Errorf("member: %v", e)
	}
}

// orphan waits for the exit of a descendant that came to us. Exits of others are
// handed on.
func orphan(t *testing.T, pid int) supervisor.Exit {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case e := <-orphans:
			if e.PID == pid {
				return e
			}
			orphans <- e
		case <-deadline:
			t.Fatalf("process %d did not come to us", pid)
		}
	}
}

func TestAStubbornGroupIsKilled(t *testing.T) {
	t.Parallel()
	p, _ := startReady(t, child("stubborn"))
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := p.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if e := wait(t, p); e.Signal != syscall.SIGKILL {
		t.Errorf("got %v", e)
	}
}

func TestKillReachesTheWholeGroup(t *testing.T) {
	t.Parallel()
	p, member := startReady(t, child("leader"))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	if e := orphan(t, member); e.Signal != syscall.SIGKILL {
		t.Errorf("member: %v", e)
	}
}

func TestTheGroupGoesWithItsLeader(t *testing.T) {
	t.Parallel()
	lines, w := pipe(t)
	spec := child("inherit", "7")
	spec.Stdout = w
	p := start(t, spec)
	// Told at the exit, though the member holds the pipe.
	if e := wait(t, p); e.Code != 7 {
		t.Errorf("leader: %v", e)
	}
	_ = w.Close()
	for lines.Scan() { // ends when the last holder of the pipe is gone
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the member lives: %v", err)
	}
}

func TestKeepGroupSparesTheMembers(t *testing.T) {
	t.Parallel()
	lines, w := pipe(t)
	spec := child("inherit", "0")
	spec.Stdout, spec.KeepGroup = w, true
	p := start(t, spec)
	wait(t, p)
	member := pidIn(t, lines, "ready")
	if gone(member) {
		t.Error("the member was killed")
	}
	startTime, err := supervisor.StartTimeOf(member)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := supervisor.KillLeftover(member, startTime); !found || err != nil {
		t.Errorf("kill member: %v, %v", found, err)
	}
	orphan(t, member)
}

func TestKeepGroupKillsTheLeaderAlone(t *testing.T) {
	t.Parallel()
	spec := child("leader")
	spec.KeepGroup = true
	p, member := startReady(t, spec)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if e := wait(t, p); e.Signal != syscall.SIGKILL {
		t.Errorf("leader: %v", e)
	}
	if gone(member) {
		t.Error("the member was killed")
	}
	_ = syscall.Kill(member, syscall.SIGKILL)
	orphan(t, member)
}

func TestADaemonComesToTheSubreaper(t *testing.T) {
	t.Parallel()
	lines, w := pipe(t)
	spec := child("daemonize", "42")
	spec.Stdout = w
	p := start(t, spec)
	daemon := pidIn(t, lines, "daemon")
	if e := wait(t, p); e.Code != 0 {
		t.Errorf("leader: %v", e)
	}
	if e := orphan(t, daemon); e.Code != 42 {
		t.Errorf("daemon: %v", e)
	}
}

func TestSignalsAfterTheEndReachNobody(t *testing.T) {
	t.Parallel()
	p := start(t, sh(""))
	wait(t, p)
	if err := p.Signal(syscall.SIGKILL); !errors.Is(err, supervisor.ErrExited) {
		t.Errorf("Signal: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("Kill: %v", err)
	}
	if got := p.StartTime(); got != 0 {
		t.Errorf("start time of a process that ended: %d", got)
	}
}

func TestExitBeforeTheEndIsZero(t *testing.T) {
	t.Parallel()
	p := start(t, sh("read x"))
	_ = p.Exit()
	live := start(t, child("block"))
	if e := live.Exit(); e != (supervisor.Exit{}) {
		t.Errorf("got %+v", e)
	}
}

func TestIdentityOfAProcess(t *testing.T) {
	t.Parallel()
	p := start(t, child("block"))
	got, err := supervisor.StartTimeOf(p.PID())
	if err != nil || got == 0 || got != p.StartTime() {
		t.Errorf("got %d, %v; the process says %d", got, err, p.StartTime())
	}
	if found, err := supervisor.KillLeftover(p.PID(), got+1); found || err != nil {
		t.Errorf("another's start time: %v, %v", found, err)
	}
	select {
	case <-p.Done():
		t.Fatal("killed by mistake")
	default:
	}
	if found, err := supervisor.KillLeftover(p.PID(), got); !found || err != nil {
		t.Errorf("its own: %v, %v", found, err)
	}
	if e := wait(t, p); e.Signal != syscall.SIGKILL {
		t.Errorf("got %v", e)
	}
	if found, err := supervisor.KillLeftover(p.PID(), got); found || err != nil {
		t.Errorf("after its end: %v, %v", found, err)
	}
	if _, err := supervisor.StartTimeOf(p.PID()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("StartTimeOf after its end: %v", err)
	}
	if found, err := supervisor.KillLeftover(-1, got); found || err != nil {
		t.Errorf("no pid: %v, %v", found, err)
	}
}

func TestKillLeftoverKillsTheGroup(t *testing.T) {
	t.Parallel()
	p, member := startReady(t, child("leader"))
	if found, err := supervisor.KillLeftover(p.PID(), p.StartTime()); !found || err != nil {
		t.Fatalf("%v, %v", found, err)
	}
	wait(t, p)
	if e := orphan(t, member); e.Signal != syscall.SIGKILL {
		t.Errorf("member: %v", e)
	}
}

func TestStatusesAreExactUnderLoad(t *testing.T) {
	t.Parallel()
	const workers, each = 200, 3
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for k := range each {
				code := (i*each + k) % 256
				p, err := shared.Start(sh(fmt.Sprintf("exit %d", code)))
				if err != nil {
					t.Error(err)
					return
				}
				<-p.Done()
				if e := p.Exit(); e.Code != code || e.Signal != 0 {
					t.Errorf("want status %d, got %v", code, e)
				}
			}
		})
	}
	wg.Wait()
}

// Failed starts have children too, which fork's own wait collects.
func TestFailedStartsBesideOthers(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if i%2 == 0 {
				if _, err := shared.Start(supervisor.Spec{Path: "/nonexistent/program"}); err == nil {
					t.Error("no error")
				}
				return
			}
			p, err := shared.Start(sh(fmt.Sprintf("exit %d", i)))
			if err != nil {
				t.Error(err)
				return
			}
			<-p.Done()
			if e := p.Exit(); e.Code != i {
				t.Errorf("want status %d, got %v", i, e)
			}
		})
	}
	wg.Wait()
}

func TestFiveHundredEndAtOnce(t *testing.T) {
	const children = 500
	before := testutil.Threads(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*supervisor.Process, children)
	for i := range all {
		spec := sh(fmt.Sprintf("read x; exit %d", i%256))
		spec.Stdin = r
		all[i] = start(t, spec)
	}
	_ = r.Close()
	if got := len(shared.Processes()); got < children {
		t.Errorf("%d processes are known", got)
	}
	if after := testutil.Threads(t); after > before+10 {
		t.Errorf("%d threads for %d children, %d before", after, children, before)
	}
	_ = w.Close() // the end of file that all of them wait for
	for i, p := range all {
		if e := wait(t, p); e.Code != i%256 || e.Signal != 0 {
			t.Errorf("child %d: %v", i, e)
		}
	}
}

func TestNoDescriptorStays(t *testing.T) {
	run := func() {
		lines, w := pipe(t)
		spec := sh("echo ready 1")
		spec.Stdout = w
		p := start(t, spec)
		pidIn(t, lines, "ready")
		wait(t, p)
		_ = w.Close()
		if _, err := shared.Start(supervisor.Spec{Path: "/nonexistent/program"}); err == nil {
			t.Error("no error")
		}
		out, err := supervisor.NewOutput(supervisor.OutputConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		_, fifo, _ := newFIFO(t)
		if err := fifo.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Run("once", func(*testing.T) { run() })
	before := testutil.Descriptors(t)
	for range 20 {
		t.Run("again", func(*testing.T) { run() })
	}
	if after := testutil.Descriptors(t); after > before+20 { // the pipes of the enclosing test are closed at its end
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestProcessesAreListedWhileTheyLive(t *testing.T) {
	t.Parallel()
	first, second := start(t, child("block")), start(t, child("block"))
	var listed []int
	for _, p := range shared.Processes() {
		if p == first || p == second {
			listed = append(listed, p.PID())
		}
	}
	if len(listed) != 2 || listed[0] != first.PID() {
		t.Errorf("listed %v, want %d and %d", listed, first.PID(), second.PID())
	}
	_ = first.Kill()
	wait(t, first)
	for _, p := range shared.Processes() {
		if p == first {
			t.Error("listed after its end")
		}
	}
}

func TestPdeathsigMeansOurDeath(t *testing.T) {
	t.Parallel()
	spec := child("supervise", "stubborn")
	spec.KeepGroup = true
	manager, worker := startReady(t, spec)
	if err := manager.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, manager)
	// It led a group of its own, so that only the death of its parent can have been it.
	if e := orphan(t, worker); e.Signal != syscall.SIGKILL {
		t.Errorf("worker: %v", e)
	}
}

// The worker's group goes too, which its manager would have seen to.
func TestTheGroupOfAnOrphanGoesWithIt(t *testing.T) {
	t.Parallel()
	manager, member := startReady(t, child("supervise", "leader"))
	if err := manager.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, manager)
	if e := orphan(t, member); e.Signal != syscall.SIGKILL {
		t.Errorf("member: %v", e)
	}
}

func TestOneSupervisorInAProcess(t *testing.T) {
	t.Parallel()
	if _, err := supervisor.New(supervisor.Config{}); !errors.Is(err, supervisor.ErrRunning) {
		t.Errorf("got %v", err)
	}
}

func TestChildrenSeeWhatTheSpecSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := sh(`echo "$0|$1|$A|$B|$(pwd)|$HOME" ; cat; echo err >&2; echo three >&3`)
	spec.Args = append(spec.Args, "name", "arg one")
	spec.Env, spec.Dir = []string{"A=1", "B=x y", "PATH=/usr/bin:/bin"}, dir
	in, inW := mustPipe(t)
	_, _ = inW.WriteString("input\n")
	_ = inW.Close()
	var outs []*os.File
	for range 3 {
		r, w := mustPipe(t)
		outs = append(outs, r)
		switch len(outs) {
		case 1:
			spec.Stdout = w
		case 2:
			spec.Stderr = w
		default:
			spec.ExtraFiles = []*os.File{w}
		}
	}
	spec.Stdin = in
	p := start(t, spec)
	if e := wait(t, p); !e.Success() {
		t.Fatal(e)
	}
	for i, want := range []string{"name|arg one|1|x y|" + dir + "|\ninput\n", "err\n", "three\n"} {
		buf := make([]byte, 1024)
		n, _ := outs[i].Read(buf)
		if string(buf[:n]) != want {
			t.Errorf("descriptor %d: got %q, want %q", i+1, buf[:n], want)
		}
	}
}

func mustPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

func TestChildrenInheritNoDescriptor(t *testing.T) {
	t.Parallel()
	r, w := mustPipe(t) // more of ours, close-on-exec as everything that Go opens
	inherited := descriptorsWithoutCloexec(t)
	lines, stdout := pipe(t)
	p := start(t, supervisor.Spec{Path: "/bin/ls", Args: []string{"/proc/self/fd"}, Stdout: stdout})
	wait(t, p)
	_ = stdout.Close()
	var more []string
	for lines.Scan() {
		if fd := number(lines.Text()); fd > 2 && !inherited[fd] {
			more = append(more, lines.Text())
		}
	}
	if len(more) != 1 { // ls has the directory open
		t.Errorf("descriptors beside 0, 1 and 2: %v", more)
	}
	_, _ = r, w
}

// descriptorsWithoutCloexec returns what this process itself was given by
// whoever started it and has to pass on.
func descriptorsWithoutCloexec(t *testing.T) map[int]bool {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := make(map[int]bool)
	for _, e := range entries {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(number(e.Name())), syscall.F_GETFD, 0)
		if errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			open[number(e.Name())] = true
		}
	}
	return open
}

func TestNoneButTheNamedVariables(t *testing.T) {
	t.Parallel()
	lines, w := pipe(t)
	spec := child("environ")
	spec.Stdout = w
	wait(t, start(t, spec))
	_ = w.Close()
	for lines.Scan() {
		if !slices.Contains(spec.Env, lines.Text()) {
			t.Errorf("inherited %q", lines.Text())
		}
	}
}

func TestArgv0IsTheName(t *testing.T) {
	t.Parallel()
	spec := child("block")
	spec.Argv0 = "a name/3"
	p := start(t, spec)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
	if err != nil || !strings.HasPrefix(string(data), "a name/3\x00") {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestStopBeforeItsContext(t *testing.T) {
	t.Parallel()
	err := error(&supervisor.StopError{Left: []string{"a (pid 1)", "b (pid 2)"}, Err: context.DeadlineExceeded})
	if want := "stop processes: a (pid 1), b (pid 2) did not end: context deadline exceeded"; err.Error() != want {
		t.Errorf("got %q", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("does not unwrap")
	}
}
