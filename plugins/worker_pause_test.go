package plugins_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// onBoth runs a test on the embedded job server and on Debian's.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, setup(t)) })
	t.Run("gearmand", func(t *testing.T) {
		b := setup(t)
		b.server = testutil.StartGearmand(t, "-w", "1").Addr()
		b.client = jobtest.NewClient(t, b.server)
		test(t, b)
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// wantRegistered waits until so many connections offer a function.
func (b *bundle) wantRegistered(t *testing.T, function string, n int) {
	t.Helper()
	testutil.WaitFor(t, fmt.Sprintf("%d that offer %s", n, function), func() bool { return b.registered(t, function) == n })
}

func names(req *workerpb.RunRequest) (all []string) {
	for _, f := range req.GetFunctions() {
		all = append(all, f.GetName())
	}
	return all
}

func TestBeginsPaused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		t.Helper()
		w := b.start(t, resting(2, func(r *workerpb.RunRequest) {
			r.Hold = workerpb.Hold_HOLD_CONNECTED
			r.Paused = []string{"echo", "wait", "none of its"}
		}))
		w.ready(t, 2)
		check(t, w.Pause(t.Context(), "error"))
		check(t, w.Resume(t.Context(), "wait"))
		check(t, w.Go(t.Context(), workerpb.Hold_HOLD_REGISTERED, 0))
		for function, want := range map[string]int{"news": 2, "wait": 2, "error": 0, "echo": 0} {
			b.wantRegistered(t, function, want)
		}
		check(t, w.Pause(t.Context(), "wait"))
		b.wantRegistered(t, "wait", 0)
		paused, _ := b.submit(t, "echo", "later")
		check(t, w.Go(t.Context(), workerpb.Hold_HOLD_NONE, 0))
		other, _ := b.submit(t, "news", "")
		wantResult(t, other, "news "+other.Handle().Name+" ")
		stays(t, paused)
		check(t, w.Resume(t.Context(), "echo"))
		wantResult(t, paused, "later")
	})
}

// TestAllPaused stays connected, sleeps, and wakes up.
func TestAllPaused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		t.Helper()
		var all []string
		w := b.start(t, resting(3, func(r *workerpb.RunRequest) { all = names(r) }))
		w.ready(t, 3)
		check(t, w.Pause(t.Context(), all...))
		for _, function := range all {
			b.wantRegistered(t, function, 0)
		}
		task, _ := b.submit(t, "echo", "awake")
		before := cpuTicks(t, w.PID())
		<-time.After(time.Second)
		if used := cpuTicks(t, w.PID()) - before; used > 20 {
			t.Errorf("%d ticks of CPU in a second of pause", used)
		}
		stays(t, task)
		check(t, w.Resume(t.Context(), all...))
		wantResult(t, task, "awake")
		for _, function := range all {
			b.wantRegistered(t, function, 3)
		}
		if n := w.count(func(e *workerpb.Event) bool { return e.GetReady() != nil || e.GetLost() != nil }); n != 3 {
			t.Errorf("%d events of connections, want those of the first 3", n)
		}
	})
}

// cpuTicks is the CPU time that a process has used, in hundredths of a second.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var user, system int
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	_, _ = fmt.Sscan(fields[12]+" "+fields[13], &user, &system)
	return user + system
}

// TestPauseWithJobsInHand answers at once, and takes nothing more.
func TestPauseWithJobsInHand(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		t.Helper()
		w := b.start(t, resting(2, nil))
		w.ready(t, 2)
		paths := []string{file(t), file(t)}
		var tasks []*gearclient.Task
		for _, path := range paths {
			task, began := b.submit(t, "wait", path)
			testutil.Receive(t, "the job", began)
			tasks = append(tasks, task)
		}
		asked := time.Now()
		check(t, w.Pause(t.Context(), "wait"))
		if took := time.Since(asked); took > 900*time.Millisecond {
			t.Errorf("pause took %v", took)
		}
		next, began := b.submit(t, "wait", file(t))
		for i, task := range tasks {
			makeFile(t, paths[i], "done")
			wantResult(t, task, "done")
		}
		b.wantRegistered(t, "wait", 0)
		stays(t, next)
		check(t, w.Resume(t.Context(), "wait"))
		testutil.Receive(t, "the job that waited", began)
	})
}

// TestPauseAnswersWhenItHolds finds the function gone, and a job of it not taken, each
// time that Pause has answered.
func TestPauseAnswersWhenItHolds(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		t.Helper()
		w := b.start(t, resting(2, nil))
		w.ready(t, 2)
		for i := range 30 {
			check(t, w.Pause(t.Context(), "echo"))
			task, _ := b.submit(t, "echo", fmt.Sprint(i))
			<-time.After(5 * time.Millisecond)
			select {
			case <-task.Done():
				t.Errorf("job %d was performed although its function is paused", i)
			default:
			}
			check(t, w.Resume(t.Context(), "echo"))
			wantResult(t, task, fmt.Sprint(i))
		}
	})
}

func TestPauseOfARestingWorker(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		t.Helper()
		w := b.start(t, resting(2, func(r *workerpb.RunRequest) { r.Limits.MaxRuns = 1 }))
		w.ready(t, 2)
		task, _ := b.submit(t, "echo", "x")
		wantResult(t, task, "x")
		b.wantRest(t, w, "max_runs", 2)
		check(t, w.Pause(t.Context(), "echo"))
		b.wantRegistered(t, "echo", 0)
		b.wantRegistered(t, "news", 2)
		check(t, w.Resume(t.Context(), "echo"))
		b.wantRegistered(t, "echo", 2)
		next, _ := b.submit(t, "echo", "for the next one")
		stays(t, next)
		check(t, w.Drain(t.Context(), "replaced"))
		w.leaves(t, "max_runs")
	})
}

// TestPauseStaysOverSet pauses a function that comes and goes.
func TestPauseStaysOverSet(t *testing.T) {
	b := setup(t)
	var all []*workerpb.Function
	w := b.start(t, func(r *workerpb.RunRequest) { all, r.Functions = r.Functions, r.Functions[1:] })
	w.ready(t, 1)
	check(t, w.Pause(t.Context(), "echo"))
	set := func(functions []*workerpb.Function) {
		t.Helper()
		check(t, w.Set(t.Context(), &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: functions}}))
	}
	set(all)
	task, _ := b.submit(t, "echo", "later")
	stays(t, task)
	set(all[1:])
	set(all)
	stays(t, task)
	check(t, w.Resume(t.Context(), "echo"))
	wantResult(t, task, "later")
}

// count is how many events suit.
func (w *worker) count(suits func(*workerpb.Event) bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if suits(e) {
			n++
		}
	}
	return n
}
