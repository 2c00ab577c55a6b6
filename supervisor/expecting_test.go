package supervisor_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// TestExpecting needs supervisors of its own: the shared one expects something
// most of the time.
func TestExpecting(t *testing.T) {
	t.Parallel()
	perl := testutil.Need(t, "perl", "perl-base")
	for _, name := range []string{"family of 700", "expecting", "expected too long", "recording"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			playAlone(t, name, perl)
		})
	}
}

func mustFork(f *forker, life string, status int) int {
	pid, err := f.fork(life, status)
	if err != nil {
		panic(err)
	}
	return pid
}

func mustExpect(sup *supervisor.Supervisor) *supervisor.Expected {
	e, err := sup.Expect()
	if err != nil {
		panic(err)
	}
	return e
}

func mustForker(sup *supervisor.Supervisor, perl string) *forker {
	f, err := startForker(sup, perl)
	if err != nil {
		panic(err)
	}
	return f
}

func stop(sup *supervisor.Supervisor) {
	ctx, cancel := background()
	defer cancel()
	if err := sup.Stop(ctx); err != nil {
		complain("%v", err)
	}
}

// adoptMany adopts 700 workers of all lives while others are started, and looks at
// the status of each. No child may be taken for an orphan.
func adoptMany(args []string) int {
	const forkers, each = 4, 175
	sup := mustNew(supervisor.Config{
		Subreaper: true, Starters: 2,
		OnOrphan: func(e supervisor.Exit) { complain("orphan: %+v", e) },
	})
	var wg sync.WaitGroup
	for i := range forkers {
		wg.Go(func() { adoptSome(mustForker(sup, args[0]), sup, i*each, each) })
	}
	wg.Go(func() { startSome(sup, 100) })
	wg.Wait()
	stop(sup)
	return 0
}

// adoptSome adopts workers whose statuses follow from first on. Some Expects are
// pending longer than others.
func adoptSome(f *forker, sup *supervisor.Supervisor, first, count int) {
	lives := []string{"lives", "dead", "ends", "executed"}
	all := make([]*supervisor.Process, count)
	var unused *supervisor.Expected
	for i := range all {
		if i%8 == 0 {
			unused = mustExpect(sup)
		}
		e, status := mustExpect(sup), (first+i)%256
		p, err := e.Adopt(mustFork(f, lives[i%len(lives)], status), supervisor.Adoption{})
		if err != nil {
			complain("worker %d: %v", i, err)
			return
		}
		all[i] = p
		if i%8 == 5 {
			unused.Cancel()
		}
	}
	unused.Cancel()
	_ = f.gate.Close()
	for i, p := range all {
		<-p.Done()
		if e := p.Exit(); e.Code != (first+i)%256 || e.Signal != 0 || e.PID != p.PID() {
			complain("worker %d: want status %d, got %+v", i, (first+i)%256, e)
		}
	}
}

func startSome(sup *supervisor.Supervisor, count int) {
	for i := range count {
		p, err := sup.Start(sh("exit 77"))
		if err != nil {
			complain("start %d: %v", i, err)
			return
		}
		<-p.Done()
		if e := p.Exit(); e.Code != 77 {
			complain("start %d: %v", i, e)
		}
	}
}

// expecting has several Expects pending: an unknown child that has ended waits for
// those that are older than its end, and for no other. Known children wait for none.
func expecting(args []string) int {
	orphans := make(chan supervisor.Exit, 16)
	sup := mustNew(supervisor.Config{Subreaper: true, OnOrphan: func(e supervisor.Exit) { orphans <- e }})
	f := mustForker(sup, args[0])
	first, second := mustExpect(sup), mustExpect(sup)
	pid := mustFork(f, "dead", 9)
	await(sup.Unplaced)
	known, err := sup.Start(sh("exit 6"))
	if err != nil {
		panic(err)
	}
	adopted, err := mustExpect(sup).Adopt(mustFork(f, "ends", 8), supervisor.Adoption{})
	if err != nil {
		panic(err)
	}
	for p, code := range map[*supervisor.Process]int{known: 6, adopted: 8} {
		if awaitExit(p); p.Exit().Code != code {
			complain("%s: %v", p.Name(), p.Exit())
		}
	}
	younger := mustExpect(sup)
	for _, e := range []*supervisor.Expected{second, first} {
		await(sup.Unplaced)
		if len(orphans) != 0 || !supervisor.IsZombie(pid) {
			complain("collected though it was expected")
		}
		e.Cancel()
	}
	select {
	case e := <-orphans:
		if e.PID != pid || e.Code != 9 {
			complain("orphan: %+v", e)
		}
	case <-time.After(testutil.Patience):
		complain("a child that nobody expected was not told")
	}
	younger.Cancel()
	stop(sup)
	return 0
}

func await(cond func() bool) {
	for deadline := time.Now().Add(testutil.Patience); !cond(); runtime.Gosched() {
		if time.Now().After(deadline) {
			panic("waited in vain")
		}
	}
}

func awaitExit(p *supervisor.Process) {
	select {
	case <-p.Done():
	case <-time.After(testutil.Patience):
		complain("the end of %s was not told while a child was expected", p.Name())
	}
}

// expectedTooLong has a Stop while children are expected, one that has ended, one
// that lives and one that never comes.
func expectedTooLong(args []string) int {
	orphans := make(chan supervisor.Exit, 16)
	sup := mustNew(supervisor.Config{Subreaper: true, OnOrphan: func(e supervisor.Exit) { orphans <- e }})
	f := mustForker(sup, args[0])
	late, never := mustExpect(sup), mustExpect(sup)
	lives, dead := mustFork(f, "leads", 0), mustFork(f, "dead", 5)
	other := mustExpect(sup)
	p, err := other.Adopt(mustFork(f, "lives", 0), supervisor.Adoption{})
	if err != nil {
		panic(err)
	}
	await(sup.Unplaced)
	stop(sup)
	if e := p.Exit(); e.Signal != syscall.SIGKILL {
		complain("adopted: %+v", e)
	}
	if len(orphans) != 1 {
		complain("%d orphans", len(orphans))
	} else if e := <-orphans; e.PID != dead || e.Code != 5 {
		complain("orphan: %+v", e)
	}
	if _, err := sup.Expect(); !errors.Is(err, supervisor.ErrStopped) {
		complain("Expect after Stop: %v", err)
	}
	if _, err := late.Adopt(lives, supervisor.Adoption{}); !errors.Is(err, supervisor.ErrStopped) {
		complain("Adopt after Stop: %v", err)
	}
	if _, err := late.Adopt(os.Getppid(), supervisor.Adoption{}); !errors.Is(err, supervisor.ErrStopped) {
		complain("Adopt of a stranger after Stop: %v", err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(lives, &status, 0, nil); err != nil || status.Signal() != unix.SIGKILL {
		complain("what came after Stop: %v, %v", status, err)
	}
	never.Cancel()
	other.Cancel()
	return 0
}

// recording adopts the child of a start, of whose number the supervisor does not
// know yet whose it is.
func recording([]string) int {
	sup := mustNew(supervisor.Config{})
	e := mustExpect(sup)
	pid, record := sup.StartByHand(func() int { return spawn("exit", &syscall.SysProcAttr{Setpgid: true}, "4") })
	adopted := make(chan error, 1)
	go func() {
		_, err := e.Adopt(pid, supervisor.Adoption{Name: "mistaken"})
		adopted <- err
	}()
	await(func() bool { return sup.AwaitedStarts() || len(adopted) > 0 })
	p := record()
	// It was known, or is collected by now.
	if err := <-adopted; !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ECHILD) {
		complain("adopted: %v", err)
	}
	if awaitExit(p); p.Exit().Code != 4 {
		complain("the start's: %+v", p.Exit())
	}
	ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
	defer cancel()
	if err := sup.Stop(ctx); err != nil { // though the Expect is pending
		complain("%v", err)
	}
	return 0
}
