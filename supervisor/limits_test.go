package supervisor_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// limitOf reads soft and hard limit of a process.
func limitOf(t *testing.T, pid, resource int) (soft, hard uint64) {
	t.Helper()
	var now unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &now); err != nil {
		t.Fatal(err)
	}
	return now.Cur, now.Max
}

func mustHaveLimits(t *testing.T, pid int, want map[int]uint64) {
	t.Helper()
	for resource, value := range want {
		if soft, hard := limitOf(t, pid, resource); soft != value || hard != value {
			t.Errorf("process %d, resource %d: got %d and %d, want %d", pid, resource, soft, hard, value)
		}
	}
}

// threadNices reads the nice values of all threads, field 19 of their stat.
func threadNices(t *testing.T, pid int) (all []int) {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(paths) == 0 {
		t.Fatal("no threads", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		nice, err := strconv.Atoi(strings.Fields(rest)[19-3])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, nice)
	}
	return all
}

func mustAllBeNice(t *testing.T, pid, want int) {
	t.Helper()
	for _, nice := range threadNices(t, pid) {
		if nice != want {
			t.Errorf("nice of the threads of process %d: %v, want %d", pid, threadNices(t, pid), want)
		}
	}
}

var someLimits = supervisor.Limits{NoFile: 123, Data: 5 << 30, SetCore: true, Core: 0, Nice: 7}

func TestLimitsHoldWhenStartReturns(t *testing.T) {
	t.Parallel()
	spec := sh("read line")
	spec.Limits = someLimits
	r, w := mustPipe(t)
	defer func() { _ = w.Close() }()
	spec.Stdin = r
	p := start(t, spec)
	mustHaveLimits(t, p.PID(), map[int]uint64{unix.RLIMIT_NOFILE: 123, unix.RLIMIT_DATA: 5 << 30, unix.RLIMIT_CORE: 0})
	mustAllBeNice(t, p.PID(), 7)
}

func TestNoLimitsChangeNothing(t *testing.T) {
	t.Parallel()
	p, pid := startReady(t, child("block"))
	for _, resource := range []int{unix.RLIMIT_DATA, unix.RLIMIT_CORE} {
		soft, hard := limitOf(t, pid, resource)
		if ownSoft, ownHard := limitOf(t, 0, resource); soft != ownSoft || hard != ownHard {
			t.Errorf("resource %d: %d and %d, here %d and %d", resource, soft, hard, ownSoft, ownHard)
		}
	}
	mustAllBeNice(t, p.PID(), threadNices(t, os.Getpid())[0])
}

// A Go program raises its RLIMIT_NOFILE at its start, and what it starts gets the
// limits that it was given.
func TestLimitsOfAGoProgramAndItsChildren(t *testing.T) {
	t.Parallel()
	spec := child("leader")
	spec.Limits = someLimits
	p, member := startReady(t, spec)
	if err := p.SetLimits(someLimits); err != nil { // its runtime may have been in between
		t.Fatal(err)
	}
	want := map[int]uint64{unix.RLIMIT_NOFILE: 123, unix.RLIMIT_DATA: 5 << 30, unix.RLIMIT_CORE: 0}
	mustHaveLimits(t, p.PID(), want)
	mustAllBeNice(t, p.PID(), 7)
	mustHaveLimits(t, member, want)
	mustAllBeNice(t, member, 7)
}

func TestSetLimitsOfARunningProcess(t *testing.T) {
	t.Parallel()
	p, pid := startReady(t, child("block"))
	if err := p.SetLimits(someLimits); err != nil {
		t.Fatal(err)
	}
	mustHaveLimits(t, pid, map[int]uint64{unix.RLIMIT_NOFILE: 123, unix.RLIMIT_DATA: 5 << 30, unix.RLIMIT_CORE: 0})
	mustAllBeNice(t, pid, 7)
	_ = p.Kill()
	wait(t, p)
	if err := p.SetLimits(someLimits); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// Limits of a process that runs go down and, if this process may, up again.
func TestLimitsGoDownAndUp(t *testing.T) {
	t.Parallel()
	p, pid := startReady(t, child("block"))
	for i, l := range []supervisor.Limits{
		{NoFile: 100, Data: 4 << 30, SetCore: true, Core: 1000, Nice: 7},
		{NoFile: 50, Data: 1 << 30, SetCore: true, Core: 10, Nice: 12},
		{NoFile: 500, Data: 6 << 30, SetCore: true, Core: 1 << 20, SetNice: true},
		{NoFile: 40, Data: unix.RLIM_INFINITY, SetCore: true, Core: unix.RLIM_INFINITY, Nice: -3},
	} {
		err := p.SetLimits(l)
		if _, refused := errors.AsType[*supervisor.LimitError](err); refused && i > 1 {
			return // this process may not raise limits, and is told so
		}
		if err != nil {
			t.Fatal(err)
		}
		mustHaveLimits(t, pid, map[int]uint64{unix.RLIMIT_NOFILE: l.NoFile, unix.RLIMIT_DATA: l.Data, unix.RLIMIT_CORE: l.Core})
		mustAllBeNice(t, pid, l.Nice)
	}
}

func TestTheKernelHoldsToLimits(t *testing.T) {
	t.Parallel()
	spec := sh("read line; exec cat /dev/null 2>&1") // which opens its libraries first
	spec.Limits.NoFile = 3
	r, w := mustPipe(t)
	spec.Stdin = r
	p := start(t, spec)
	_, _ = w.WriteString("go\n")
	_ = w.Close()
	if e := wait(t, p); e.Success() {
		t.Errorf("a fourth descriptor was opened: %v", e)
	}
}

func TestLimitsOfAnAdopted(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	e := expect(t)
	p, err := e.Adopt(f.mustFork(t, "lives", 0), supervisor.Adoption{Name: "adopted", Limits: someLimits})
	if err != nil {
		t.Fatal(err)
	}
	mustHaveLimits(t, p.PID(), map[int]uint64{unix.RLIMIT_NOFILE: 123, unix.RLIMIT_DATA: 5 << 30, unix.RLIMIT_CORE: 0})
	mustAllBeNice(t, p.PID(), 7)
	_ = p.Kill()
	wait(t, p)
}

func TestLimitsInWords(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]supervisor.LimitError{
		"limit nofile = 50000 cannot be set, the hard limit is 20000: raise that": {
			Limit: "nofile", Value: "50000", Bound: "20000", Advice: "raise that", Err: unix.EPERM,
		},
		"nice = -5 cannot be set, the lowest allowed here is 0: run as root": {
			Limit: "nice", Value: "-5", Bound: "0", Advice: "run as root", Err: unix.EACCES,
		},
		"limit data = 1 cannot be set, the hard limit is unlimited: invalid argument": {
			Limit: "data", Value: "1", Bound: "unlimited", Err: unix.EINVAL,
		},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// Whatever this process may do, more than fs.nr_open is more than anybody may.
func TestMoreDescriptorsThanAnybodyMayHave(t *testing.T) {
	t.Parallel()
	spec := sh("exec sleep 300")
	spec.Limits.NoFile = 1 << 40
	_, err := shared.Start(spec)
	limit := mustRefuse(t, err)
	if !strings.Contains(limit.Advice, "fs.nr_open = ") {
		t.Errorf("advice %q", limit.Advice)
	}
	if err := spec.Limits.Check(); err == nil || err.Error() != limit.Error() {
		t.Errorf("Check says %v, Start %v", err, limit)
	}
}

func mustRefuse(t *testing.T, err error) *supervisor.LimitError {
	t.Helper()
	var (
		start *supervisor.StartError
		limit *supervisor.LimitError
	)
	if !errors.As(err, &start) || !errors.As(err, &limit) || !errors.Is(err, unix.EPERM) {
		t.Fatalf("got %v, want a *StartError of EPERM", err)
	}
	if start.Reason != limit.Error() {
		t.Errorf("reason %q, limit %q", start.Reason, limit)
	}
	return limit
}

func TestAnAdoptedThatCannotBeLimitedIsKilled(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	e := expect(t)
	pid := f.mustFork(t, "lives", 0)
	_, err := e.Adopt(pid, supervisor.Adoption{Name: "adopted", Limits: supervisor.Limits{NoFile: 1 << 40}})
	var adopt *supervisor.AdoptError
	if !errors.As(err, &adopt) || !errors.Is(err, unix.EPERM) {
		t.Fatalf("got %v", err)
	}
	testutil.WaitFor(t, "the end of the adopted", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestWithoutPrivileges(t *testing.T) {
	t.Parallel()
	playAlone(t, "unprivileged")
}

// unprivileged is a supervisor whose hard limits are low and that may not raise them.
func unprivileged([]string) int {
	for resource, hard := range map[int]uint64{unix.RLIMIT_DATA: 8 << 30, unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 400, unix.RLIMIT_NICE: 0} {
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: hard, Max: hard}); err != nil {
			complain("limit: %v", err)
		}
	}
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(65534), syscall.Setuid(65534)); err != nil {
			complain("give up root: %v", err)
		}
	}
	sup := mustNew(supervisor.Config{})
	defer stop(sup)
	for _, c := range []limitCase{
		{supervisor.Limits{NoFile: 400, Data: 8 << 30, SetCore: true, Nice: 2}, ""},
		{supervisor.Limits{NoFile: 401}, "limit nofile = 401 cannot be set, the hard limit is 400: raise that (LimitNOFILE= in the systemd unit, ulimit -Hn in a shell), or choose a lower value"},
		{supervisor.Limits{Data: 9 << 30}, "limit data = 9663676416 cannot be set, the hard limit is 8589934592: raise that (LimitDATA= in the systemd unit, ulimit -Hd in a shell), or choose a lower value"},
		{supervisor.Limits{SetCore: true, Core: 1<<64 - 1}, "limit core = unlimited cannot be set, the hard limit is 0: raise that (LimitCORE= in the systemd unit, ulimit -Hc in a shell), or choose a lower value"},
		{supervisor.Limits{Nice: -1}, "nice = -1 cannot be set, the lowest allowed here is 0: run with CAP_SYS_NICE, raise the limit (LimitNICE= in the systemd unit, ulimit -e in a shell), or choose a higher value"},
	} {
		c.tryOn(sup)
	}
	changeWithoutPrivileges(sup)
	return 0
}

// changeWithoutPrivileges lowers limits of a process that runs, and cannot raise them
// again.
func changeWithoutPrivileges(sup *supervisor.Supervisor) {
	spec := sh("exec sleep 300")
	spec.Limits = supervisor.Limits{NoFile: 400, Nice: 2}
	p, err := sup.Start(spec)
	if err != nil {
		complain("start: %v", err)
		return
	}
	if err := p.SetLimits(supervisor.Limits{NoFile: 300, Nice: 5}); err != nil {
		complain("lower: %v", err)
	}
	err = p.SetLimits(supervisor.Limits{NoFile: 350, Data: 1 << 30, SetNice: true})
	want := "limit sh: limit nofile = 350 cannot be set, the hard limit is 300: " +
		"a process that runs has its limit raised only by one with CAP_SYS_RESOURCE; a new process can have it\n" +
		"nice = 0 cannot be set, the lowest allowed here is 5: run with CAP_SYS_NICE, " +
		"raise the limit (LimitNICE= in the systemd unit, ulimit -e in a shell), or choose a higher value"
	if _, ok := errors.AsType[*supervisor.LimitError](err); !ok || err.Error() != want {
		complain("raise: got %v, want %s", err, want)
	}
	for resource, value := range map[int]uint64{unix.RLIMIT_NOFILE: 300, unix.RLIMIT_DATA: 1 << 30} {
		var now unix.Rlimit
		if err := unix.Prlimit(p.PID(), resource, nil, &now); err != nil || now.Max != value || now.Cur != value {
			complain("resource %d: %v, %v, want %d", resource, now, err, value)
		}
	}
	_ = p.Kill()
}

// limitCase is what is wanted of a child, and what is said of it.
type limitCase struct {
	limits supervisor.Limits
	want   string
}

func (c limitCase) tryOn(sup *supervisor.Supervisor) {
	spec := sh("exec sleep 300")
	spec.Limits = c.limits
	p, err := sup.Start(spec)
	if c.want == "" {
		if err != nil || c.limits.Check() != nil {
			complain("%+v: %v, %v", c.limits, err, c.limits.Check())
			return
		}
		_ = p.Kill()
		return
	}
	if want := "start sh: /bin/sh: " + c.want; err == nil || err.Error() != want {
		complain("got %v, want %s", err, want)
	}
	if err := c.limits.Check(); err == nil || err.Error() != c.want {
		complain("Check says %v, want %s", err, c.want)
	}
	await(func() bool { return len(sup.Processes()) == 0 })
}
