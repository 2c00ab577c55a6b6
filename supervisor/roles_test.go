package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// The roles in this file need a supervisor of their own, so that each is played by
// a process. They say what they find wrong on stdout.

func complain(format string, args ...any) { fmt.Printf("wrong: "+format+"\n", args...) }

func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

func mustNew(cfg supervisor.Config) *supervisor.Supervisor {
	sup, err := supervisor.New(cfg)
	if err != nil {
		panic(err)
	}
	return sup
}

// supervise is a manager: it starts a child and waits to be killed.
func supervise(args []string) int {
	spec := child(args[0], args[1:]...)
	spec.Stdout, spec.Pdeathsig = os.Stdout, syscall.SIGKILL
	if _, err := mustNew(supervisor.Config{}).Start(spec); err != nil {
		panic(err)
	}
	return forever()
}

// lifecycle starts and stops supervisors, one after the other.
func lifecycle([]string) int {
	oneLife()
	fds, tasks := count("/proc/self/fd"), count("/proc/self/task")
	for range 20 {
		oneLife()
	}
	if now := count("/proc/self/fd"); now > fds {
		complain("%d descriptors, %d before", now, fds)
	}
	if now := count("/proc/self/task"); now > tasks+5 { // the runtime has a few of its own
		complain("%d threads, %d before", now, tasks)
	}
	if err := goleak.Find(); err != nil {
		complain("%v", err)
	}
	return 0
}

func count(dir string) int {
	entries, err := os.ReadDir(dir)
	if err != nil {
		panic(err)
	}
	return len(entries)
}

func oneLife() {
	ctx, cancel := background()
	defer cancel()
	sup := mustNew(supervisor.Config{Subreaper: true})
	var all []*supervisor.Process
	for range 5 {
		p, err := sup.Start(supervisor.Spec{Path: "/bin/sleep", Args: []string{"300"}})
		if err != nil {
			complain("%v", err)
			return
		}
		all = append(all, p)
	}
	stopTwice(ctx, sup)
	for _, p := range all {
		if e := p.Exit(); e.Signal != syscall.SIGKILL || !gone(p.PID()) {
			complain("after Stop: %v", e)
		}
	}
	if left := sup.Processes(); len(left) != 0 {
		complain("%d processes are listed after Stop", len(left))
	}
	if _, err := sup.Start(supervisor.Spec{Path: "/bin/true"}); !errors.Is(err, supervisor.ErrStopped) {
		complain("start after Stop: %v", err)
	}
}

// stopTwice calls Stop in every way that is allowed: with no time at all, from
// two goroutines, and again.
func stopTwice(ctx context.Context, sup *supervisor.Supervisor) {
	now, cancel := context.WithCancel(ctx)
	cancel()
	if err := sup.Stop(now); err != nil {
		var stop *supervisor.StopError
		if !errors.As(err, &stop) || len(stop.Left) == 0 || !errors.Is(err, context.Canceled) {
			complain("Stop without time: %v", err)
		}
	}
	other := make(chan error, 1)
	go func() { other <- sup.Stop(ctx) }()
	for _, err := range []error{sup.Stop(ctx), <-other, sup.Stop(ctx)} {
		if err != nil {
			complain("Stop: %v", err)
		}
	}
}

// stress starts while another goroutine stops.
func stress([]string) int {
	for range 20 {
		ctx, cancel := background()
		sup := mustNew(supervisor.Config{Starters: 4})
		done := make(chan struct{})
		for range 4 {
			go func() {
				defer func() { done <- struct{}{} }()
				for {
					_, err := sup.Start(supervisor.Spec{Path: "/bin/sleep", Args: []string{"300"}})
					if errors.Is(err, supervisor.ErrStopped) {
						return
					}
					if err != nil {
						complain("%v", err)
					}
				}
			}()
		}
		for len(sup.Processes()) < 8 {
			runtime.Gosched()
		}
		if err := sup.Stop(ctx); err != nil {
			complain("%v", err)
		}
		for range 4 {
			<-done
		}
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); !errors.Is(err, unix.ECHILD) {
			complain("children are left: %v", err)
		}
		cancel()
	}
	return 0
}

// unplaced has a child that ends while a start is in progress: it may belong to
// that start, and must not be taken for an orphan before it is over.
func unplaced([]string) int {
	orphans := make(chan supervisor.Exit, 16)
	sup := mustNew(supervisor.Config{OnOrphan: func(e supervisor.Exit) { orphans <- e }})
	known, err := sup.Start(sh("read x <&3; exit 5")) // descriptor 3 is none: it ends at once
	if err != nil {
		panic(err)
	}
	<-known.Done()
	r, w, _ := os.Pipe()
	spec := sh("read x; exit 6")
	spec.Stdin = r
	if known, err = sup.Start(spec); err != nil {
		panic(err)
	}
	number, err := sup.BeginStart()
	if err != nil {
		panic(err)
	}
	pid := spawn("exit", nil, "9")
	for !sup.Unplaced() && unix.Kill(pid, 0) == nil {
		runtime.Gosched()
	}
	_ = w.Close()
	select { // the reaper is not held up by the child that it cannot place
	case <-known.Done():
	case <-time.After(30 * time.Second):
		complain("the end of a known process was not told during the start")
		return 1
	}
	if e := known.Exit(); e.Code != 6 {
		complain("known: %v", e)
	}
	if len(orphans) != 0 || !supervisor.IsZombie(pid) {
		complain("collected during the start")
	}
	if _, err := sup.BeginStart(); err != nil { // younger than the child, and of no account
		panic(err)
	}
	sup.SettleStart(number)
	var e supervisor.Exit
	select {
	case e = <-orphans:
	case <-time.After(30 * time.Second):
		complain("the orphan was not told after the start that it might have belonged to")
		return 1
	}
	if e.PID != pid || e.Code != 9 {
		complain("orphan: %v", e)
	}
	ctx, cancel := background()
	defer cancel()
	if err := sup.Stop(ctx); err != nil {
		complain("%v", err)
	}
	return 0
}

// crowd has several starters at work at once, some of them in vain.
func crowd([]string) int {
	sup := mustNew(supervisor.Config{Starters: 4, OnOrphan: func(e supervisor.Exit) { complain("orphan: %v", e) }})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for k := range 3 {
				code := (3*i + k) % 256
				p, err := sup.Start(sh(fmt.Sprintf("exit %d", code)))
				if err != nil {
					complain("%v", err)
					return
				}
				if _, err := sup.Start(supervisor.Spec{Path: "/nonexistent/program"}); !errors.Is(err, os.ErrNotExist) {
					complain("%v", err)
				}
				<-p.Done()
				if e := p.Exit(); e.Code != code || e.Signal != 0 || e.PID != p.PID() {
					complain("want status %d, got %+v", code, e)
				}
			}
		})
	}
	wg.Wait()
	ctx, cancel := background()
	defer cancel()
	if err := sup.Stop(ctx); err != nil {
		complain("%v", err)
	}
	return 0
}

// masked blocks a signal for a whole process, which becomes "ignorant".
func masked([]string) int {
	runtime.LockOSThread()
	set := unix.Sigset_t{}
	set.Val[0] = 1<<(unix.SIGUSR1-1) | 1<<(unix.SIGTERM-1)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &set, nil); err != nil {
		panic(err)
	}
	panic(syscall.Exec("/proc/self/exe", []string{"ignorant"}, environ("ignorant")))
}

// ignorant ignores signals, and starts a child that must not.
func ignorant([]string) int {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGUSR2)
	if mine := masks("/proc/self/status"); mine["SigIgn"] == 0 {
		complain("the test ignores nothing: %v", mine)
	}
	sup := mustNew(supervisor.Config{})
	p, err := sup.Start(child("block"))
	if err != nil {
		panic(err)
	}
	_ = p.Kill()
	<-p.Done()
	if p, err = sup.Start(supervisor.Spec{Path: "/bin/sleep", Args: []string{"300"}}); err != nil {
		panic(err)
	}
	if got := masks(fmt.Sprintf("/proc/%d/status", p.PID())); got["SigIgn"] != 0 || got["SigBlk"] != 0 {
		complain("child: %x", got)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGHUP) // is still no harm to us
	_ = syscall.Kill(os.Getpid(), syscall.SIGPIPE)
	ctx, cancel := background()
	defer cancel()
	if err := sup.Stop(ctx); err != nil {
		complain("%v", err)
	}
	if !signal.Ignored(syscall.SIGPIPE) {
		complain("SIGPIPE is not ignored after Stop, as it was before New")
	}
	return 0
}

// masks reads the signal masks of a process.
func masks(path string) map[string]uint64 {
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	got := make(map[string]uint64)
	for line := range strings.Lines(string(data)) {
		var mask uint64
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		if !strings.HasPrefix(name, "Sig") || name == "SigQ" {
			continue
		}
		if _, err := fmt.Sscanf(value, "%x", &mask); err != nil {
			panic(err)
		}
		got[name] = mask &^ libcSignals
	}
	return got
}

// libcSignals are 32 and 33, which the C library keeps to itself: programs that
// it starts by posix_spawn, as make does, have them ignored.
const libcSignals = 1<<31 | 1<<32
