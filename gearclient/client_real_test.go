package gearclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// actor performs jobs as their workload says: "WORD rest".
func actor(_ context.Context, job *gearclient.Job) gearclient.Result {
	verb, rest, _ := bytes.Cut(job.Workload(), []byte(" "))
	switch string(verb) {
	case "fail":
		return gearclient.Result{Outcome: gearclient.Failed}
	case "raise":
		return gearclient.Result{Outcome: gearclient.Raised, Data: rest}
	case "report":
		_ = job.Data([]byte("part"))
		_ = job.Status(1, 2)
		_ = job.Warning([]byte("hm"))
	case "empty":
		return gearclient.Result{}
	}
	return gearclient.Result{Data: rest}
}

// work performs jobs of these functions until the test ends.
func work(t *testing.T, addr string, slots int, handler gearclient.Handler, functions ...string) {
	t.Helper()
	jobtest.StartWorker(t, gearclient.WorkerConfig{
		Servers: []string{addr}, Functions: functions, Handler: handler, Slots: slots,
		ClientID: func(int) string { return "the worker" },
	})
}

// realContext bounds a test against a real server.
func realContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testutil.Patience)
	t.Cleanup(cancel)
	return ctx
}

func TestRealForeground(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		work(t, s.addr, 1, actor, "act")
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		large := strings.Repeat("\x00\x01\xff0", 4<<20)
		for work, want := range map[string]string{
			"say hello": "hello", "say \x00a\x00": "\x00a\x00", "": "", "empty": "", "say " + large: large,
		} {
			for _, p := range []gearclient.Priority{gearclient.PriorityNormal, gearclient.PriorityHigh, gearclient.PriorityLow} {
				got, err := c.Do(ctx, gearclient.Request{Function: "act", Workload: []byte(work), Priority: p})
				if err != nil || string(got) != want {
					t.Errorf("%.20q at %v: %.20q, %v", work, p, got, err)
				}
			}
		}
		var got []string
		_, err := c.Do(ctx, gearclient.Request{Function: "act", Workload: []byte("report"), OnUpdate: func(u gearclient.Update) {
			got = append(got, fmt.Sprintf("%v %s %d/%d", u.Kind, u.Data, u.Numerator, u.Denominator))
		}})
		if want := []string{"data part 0/0", "status  1/2", "warning hm 0/0"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("updates %q, %v, want %q", got, err, want)
		}
	})
}

func TestRealFailures(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		work(t, s.addr, 1, actor, "act")
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		_, err := c.Do(ctx, gearclient.Request{Function: "act", Workload: []byte("raise boom \x00")})
		if e, ok := errors.AsType[*gearclient.ExceptionError](err); !ok || string(e.Data) != "boom \x00" {
			t.Errorf("exception: %v", err)
		}
		_, err = c.Do(ctx, gearclient.Request{Function: "act", Workload: []byte("fail")})
		if e, ok := errors.AsType[*gearclient.FailError](err); !ok || !strings.HasPrefix(e.Handle, "H:") {
			t.Errorf("failure: %v", err)
		}
		deaf := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{s.addr}, NoExceptions: true})
		_, err = deaf.Do(ctx, gearclient.Request{Function: "act", Workload: []byte("raise boom")})
		if e, ok := errors.AsType[*gearclient.FailError](err); !ok || strings.Contains(e.Handle, "\x00") {
			t.Errorf("exception without the option: %v", err)
		}
	})
}

func TestRealManyJobs(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		work(t, s.addr, 4, actor, "act")
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		var wg sync.WaitGroup
		for g := range 20 {
			wg.Go(func() {
				for i := range 25 {
					want := fmt.Sprintf("%d/%d", g, i)
					got, err := c.Do(ctx, gearclient.Request{Function: "act", Workload: []byte("say " + want)})
					if err != nil || string(got) != want {
						t.Errorf("%q, %v, want %q", got, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestRealJoinedTasks joins two tasks by a unique key before a worker comes.
func TestRealJoinedTasks(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		var tasks []*gearclient.Task
		for _, w := range []string{"report 1", "report 2"} {
			task, err := c.Submit(ctx, gearclient.Request{Function: "act", Unique: "key", Workload: []byte(w)})
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, task)
		}
		if tasks[0].Handle() != tasks[1].Handle() {
			t.Errorf("handles %v and %v", tasks[0].Handle(), tasks[1].Handle())
		}
		st, err := c.UniqueStatus(ctx, "key")
		if err != nil || !st.Known || st.Running || st.Clients != 2 {
			t.Errorf("status by key: %+v, %v", st, err)
		}
		work(t, s.addr, 1, actor, "act")
		for i, task := range tasks {
			n := 0
			for range task.Updates(ctx) {
				n++
			}
			if got, err := task.Wait(ctx); err != nil || string(got) != "1" || n != 3 {
				t.Errorf("task %d: %q, %v, %d updates", i, got, err, n)
			}
		}
	})
}

// TestRealPriorities queues jobs first and looks at the order in which a worker
// gets them.
func TestRealPriorities(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		for _, p := range []gearclient.Priority{gearclient.PriorityLow, gearclient.PriorityNormal, gearclient.PriorityHigh} {
			if _, err := c.Background(ctx, gearclient.Request{Function: "order", Priority: p, Workload: []byte(p.String())}); err != nil {
				t.Fatal(err)
			}
		}
		queues, err := jobtest.NewAdmin(t, s.addr).Queues(ctx)
		if want := []gearclient.QueueStatus{{Function: "order", High: 1, Normal: 1, Low: 1}}; err != nil || !slices.Equal(queues, want) {
			t.Errorf("queues %+v, %v", queues, err)
		}
		came := make(chan string, 3)
		work(t, s.addr, 1, func(_ context.Context, job *gearclient.Job) gearclient.Result {
			came <- string(job.Workload())
			return gearclient.Result{}
		}, "order")
		for _, want := range []string{"high", "normal", "low"} {
			select {
			case got := <-came:
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			case <-ctx.Done():
				t.Fatal("no job came")
			}
		}
	})
}

// TestRealEpoch: a job of the past runs at once, one of the future waits.
func TestRealEpoch(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		later, err := c.Background(ctx, gearclient.Request{Function: "epoch", Workload: []byte("later"), RunAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Background(ctx, gearclient.Request{Function: "epoch", Workload: []byte("now"), RunAt: time.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		came := make(chan string, 2)
		work(t, s.addr, 1, func(_ context.Context, job *gearclient.Job) gearclient.Result {
			came <- string(job.Workload())
			return gearclient.Result{}
		}, "epoch")
		select {
		case got := <-came:
			if got != "now" {
				t.Errorf("%q came first", got)
			}
		case <-ctx.Done():
			t.Fatal("no job came")
		}
		if st, err := c.Status(ctx, later); err != nil || !st.Known || st.Running {
			t.Errorf("the job of the future: %+v, %v", st, err)
		}
	})
}

func TestRealStatusAndEcho(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		reported, release := make(chan struct{}), make(chan struct{})
		work(t, s.addr, 1, func(_ context.Context, job *gearclient.Job) gearclient.Result {
			_ = job.Status(3, 10)
			close(reported)
			<-release
			return gearclient.Result{}
		}, "slow")
		h, err := c.Background(ctx, gearclient.Request{Function: "slow"})
		if err != nil {
			t.Fatal(err)
		}
		<-reported
		want := gearclient.Status{Server: s.addr, Known: true, Running: true, Numerator: 3, Denominator: 10}
		eventually(t, func() (bool, string) {
			st, err := c.Status(ctx, h)
			return err == nil && st == want, fmt.Sprintf("status %+v, %v", st, err)
		})
		close(release)
		eventually(t, func() (bool, string) {
			st, err := c.Status(ctx, gearclient.Handle{Name: h.Name})
			return err == nil && !st.Known, fmt.Sprintf("after the end: %+v, %v", st, err)
		})
		for _, data := range []string{"", "\x00ping"} {
			if got, err := c.Echo(ctx, s.addr, []byte(data)); err != nil || string(got) != data {
				t.Errorf("echo: %q, %v", got, err)
			}
		}
	})
}

// eventually asks until ok, or for as long as patience lasts.
func eventually(t *testing.T, ask func() (ok bool, seen string)) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(testutil.Patience); ; <-tick.C {
		ok, seen := ask()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatal(seen)
		}
	}
}

// TestRealServerDies: every task that waits gets an error that names its job.
func TestRealServerDies(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		c, ctx := jobtest.NewClient(t, s.addr), realContext(t)
		task, err := c.Submit(ctx, gearclient.Request{Function: "nobody does this"})
		if err != nil {
			t.Fatal(err)
		}
		s.kill()
		_, err = task.Wait(ctx)
		lost, ok := errors.AsType[*gearclient.LostError](err)
		if !ok || lost.Handle != task.Handle().Name || gearclient.SafeToRetry(err) {
			t.Errorf("%v, want a LostError of %v", err, task.Handle())
		}
		_, err = c.Submit(ctx, gearclient.Request{Function: "nobody does this"})
		if _, ok := errors.AsType[*gearclient.ConnectError](err); !ok || !gearclient.SafeToRetry(err) {
			t.Errorf("next job: %v, want a ConnectError", err)
		}
	})
}

func TestRealAdmin(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		c, a, ctx := jobtest.NewClient(t, s.addr), jobtest.NewAdmin(t, s.addr), realContext(t)
		version, err := a.Version(ctx)
		if err != nil || version == "" {
			t.Errorf("version %q, %v", version, err)
		}
		if pid, err := a.PID(ctx); err != nil || pid <= 1 {
			t.Errorf("pid %d, %v", pid, err)
		}
		h, err := c.Background(ctx, gearclient.Request{Function: "queued", Unique: "key"})
		if err != nil {
			t.Fatal(err)
		}
		check(t, a.Status, ctx, []gearclient.FunctionStatus{{Function: "queued", Total: 1}})
		check(t, a.Jobs, ctx, []gearclient.JobInfo{{Handle: h.Name, Queued: true}})
		check(t, a.UniqueJobs, ctx, []string{"key"})
		err = a.DropFunction(ctx, "queued")
		if _, ok := errors.AsType[*gearclient.FunctionError](err); !ok {
			t.Errorf("drop with a queued job: %v", err)
		}
		if err := a.CancelJob(ctx, h.Name); err != nil {
			t.Errorf("cancel: %v", err)
		}
		err = a.CancelJob(ctx, "H:nobody:1")
		if _, ok := errors.AsType[*gearclient.ServerError](err); !ok {
			t.Errorf("cancel of nothing: %v", err)
		}
	})
}

func TestRealAdminFunctions(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		c, a, ctx := jobtest.NewClient(t, s.addr), jobtest.NewAdmin(t, s.addr), realContext(t)
		if err := a.CreateFunction(ctx, "abcdef"); err != nil {
			t.Fatal(err)
		}
		check(t, a.Status, ctx, []gearclient.FunctionStatus{{Function: "abcdef"}})
		if err := a.SetMaxQueue(ctx, "abcdef", gearclient.QueueLimits{High: 1, Normal: 1, Low: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Background(ctx, gearclient.Request{Function: "abcdef"}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Background(ctx, gearclient.Request{Function: "abcdef"})
		if full, ok := errors.AsType[*gearclient.ServerError](err); !ok || full.Code != "QUEUE_ERROR" {
			t.Errorf("over the limit: %v", err)
		}
		work(t, s.addr, 1, actor, "abcdef", "other")
		eventually(t, func() (bool, string) {
			workers, err := a.Workers(ctx)
			for _, w := range workers {
				slices.Sort(w.Functions)
				if w.ID == "the worker" && slices.Equal(w.Functions, []string{"abcdef", "other"}) {
					return true, ""
				}
			}
			return false, fmt.Sprintf("workers %+v, %v", workers, err)
		})
		if err := a.CreateFunction(ctx, "unused"); err != nil {
			t.Fatal(err)
		}
		if err := a.DropFunction(ctx, "unused"); err != nil {
			t.Errorf("drop: %v", err)
		}
		if err := a.DropFunction(ctx, "unused"); err == nil {
			t.Error("dropped twice")
		}
	})
}
