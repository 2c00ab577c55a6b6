package gearclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// option are the steps with which every connection of a client begins.
func option() []geartest.Step {
	return []geartest.Step{
		geartest.Expect(wire.OptionReq, "exceptions"),
		geartest.Send(wire.OptionRes, "exceptions"),
	}
}

// clientConn scripts a connection of a client, after its option.
func clientConn(steps ...geartest.Step) geartest.Script {
	return geartest.Conn(append(option(), steps...)...)
}

// newClient makes a client of these servers, which the test's end closes.
func newClient(t *testing.T, servers ...*geartest.Server) *gearclient.Client {
	t.Helper()
	cfg := gearclient.ClientConfig{}
	for _, s := range servers {
		cfg.Servers = append(cfg.Servers, s.Addr())
		cfg.Dial = s.Dial
	}
	if len(servers) > 1 {
		cfg.Dial = nil
	}
	return jobtest.NewClientWith(t, cfg)
}

func TestDoSendsEachPriority(t *testing.T) {
	t.Parallel()
	for prio, typ := range map[gearclient.Priority]wire.Type{
		gearclient.PriorityNormal: wire.SubmitJob,
		gearclient.PriorityHigh:   wire.SubmitJobHigh,
		gearclient.PriorityLow:    wire.SubmitJobLow,
	} {
		s := geartest.Start(t, clientConn(
			geartest.Expect(typ, "reverse", "key", "a\x00b"),
			geartest.Send(wire.JobCreated, "H:t:1"),
			geartest.Send(wire.WorkComplete, "H:t:1", "b\x00a"),
			geartest.ExpectClose(),
		))
		c := newClient(t, s)
		got, err := c.Do(t.Context(), gearclient.Request{Function: "reverse", Unique: "key", Workload: []byte("a\x00b"), Priority: prio})
		if err != nil || string(got) != "b\x00a" {
			t.Errorf("%v: %q, %v", prio, got, err)
		}
	}
}

func TestBackgroundSendsEachKind(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_900_000_000, 999)
	for _, c := range []struct {
		req  gearclient.Request
		want wire.Packet
	}{
		{gearclient.Request{}, geartest.Req(wire.SubmitJobBg, "f", "", "w")},
		{gearclient.Request{Priority: gearclient.PriorityHigh}, geartest.Req(wire.SubmitJobHighBg, "f", "", "w")},
		{gearclient.Request{Priority: gearclient.PriorityLow}, geartest.Req(wire.SubmitJobLowBg, "f", "", "w")},
		{gearclient.Request{RunAt: at, Unique: "-"}, geartest.Req(wire.SubmitJobEpoch, "f", "-", "1900000000", "w")},
	} {
		c.req.Function, c.req.Workload = "f", []byte("w")
		s := geartest.Start(t, clientConn(
			geartest.ExpectAnyOrder(c.want),
			geartest.Send(wire.JobCreated, "H:t:7"),
			geartest.ExpectClose(),
		))
		h, err := newClient(t, s).Background(t.Context(), c.req)
		if want := (gearclient.Handle{Server: s.Addr(), Name: "H:t:7"}); err != nil || h != want {
			t.Errorf("%v: %v, %v, want %v", c.want, h, err, want)
		}
	}
}

func TestUpdatesComeInOrder(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", ""),
		geartest.SendTogether( // the server may say all this at once
			geartest.Res(wire.JobCreated, "H:t:1"),
			geartest.Res(wire.WorkData, "H:t:1", "part"),
			geartest.Res(wire.WorkStatus, "H:t:1", "3", "10"),
			geartest.Res(wire.WorkWarning, "H:t:1", "hm"),
			geartest.Res(wire.WorkStatus, "H:t:1", "99999999999999999999", "1e3"),
			geartest.Res(wire.WorkData, "H:t:2", "of a job that nobody knows"),
			geartest.Res(wire.WorkComplete, "H:t:1", "all"),
		),
		geartest.ExpectClose(),
	))
	want := []gearclient.Update{
		{Kind: gearclient.UpdateData, Data: []byte("part")},
		{Kind: gearclient.UpdateStatus, Numerator: 3, Denominator: 10},
		{Kind: gearclient.UpdateWarning, Data: []byte("hm")},
		{Kind: gearclient.UpdateStatus, Numerator: 1<<64 - 1, Denominator: 1},
	}
	var got []gearclient.Update
	data, err := newClient(t, s).Do(t.Context(), gearclient.Request{
		Function: "f", OnUpdate: func(u gearclient.Update) { got = append(got, u) },
	})
	if err != nil || string(data) != "all" {
		t.Fatalf("%q, %v", data, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUpdatesCanBeTakenInParts(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", ""),
		geartest.SendTogether(
			geartest.Res(wire.JobCreated, "H:t:1"),
			geartest.Res(wire.WorkData, "H:t:1", "1"),
			geartest.Res(wire.WorkData, "H:t:1", "2"),
		),
		geartest.Wait(more),
		geartest.Send(wire.WorkData, "H:t:1", "3"),
		geartest.Send(wire.WorkComplete, "H:t:1", ""),
		geartest.ExpectClose(),
	))
	task, err := newClient(t, s).Submit(t.Context(), gearclient.Request{Function: "f"})
	if err != nil {
		t.Fatal(err)
	}
	for want := range 2 {
		for u := range task.Updates(t.Context()) {
			if string(u.Data) != fmt.Sprint(want+1) {
				t.Fatalf("got %q, want %d", u.Data, want+1)
			}
			break
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for u := range task.Updates(ended) {
		t.Errorf("update %q, want none yet", u.Data)
	}
	close(more)
	<-task.Done()
	var rest []string
	for u := range task.Updates(t.Context()) {
		rest = append(rest, string(u.Data))
	}
	if !slices.Equal(rest, []string{"3"}) {
		t.Errorf("the rest is %q, want 3", rest)
	}
}

func TestHowAJobEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end   wire.Packet
		check func(error) bool
	}{
		"exception": {geartest.Res(wire.WorkException, "H:t:1", "boom"), func(err error) bool {
			e, ok := errors.AsType[*gearclient.ExceptionError](err)
			return ok && string(e.Data) == "boom" && e.Handle == "H:t:1" && strings.Contains(err.Error(), "boom")
		}},
		"fail": {geartest.Res(wire.WorkFail, "H:t:1"), func(err error) bool {
			e, ok := errors.AsType[*gearclient.FailError](err)
			return ok && e.Handle == "H:t:1"
		}},
		"fail in place of an exception": {geartest.Res(wire.WorkFail, "H:t:1\x00"), func(err error) bool {
			e, ok := errors.AsType[*gearclient.FailError](err)
			return ok && e.Handle == "H:t:1"
		}},
		"empty result": {geartest.Res(wire.WorkComplete, "H:t:1", ""), func(err error) bool { return err == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := geartest.Start(t, clientConn(
				geartest.Expect(wire.SubmitJob, "f", "", ""),
				geartest.Send(wire.JobCreated, "H:t:1"),
				geartest.SendTogether(c.end),
				geartest.ExpectClose(),
			))
			data, err := newClient(t, s).Do(t.Context(), gearclient.Request{Function: "f"})
			if !c.check(err) || len(data) > 0 || gearclient.SafeToRetry(err) {
				t.Errorf("%q, %v, safe to retry %t", data, err, gearclient.SafeToRetry(err))
			}
		})
	}
}

func TestServerRefuses(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", ""),
		geartest.Send(wire.Error, "QUEUE_ERROR", "queue is full"),
		geartest.Expect(wire.SubmitJobBg, "f", "", ""),
		geartest.Send(wire.JobCreated, "H:t:2"), // the connection is good for more
		geartest.ExpectClose(),
	))
	c := newClient(t, s)
	_, err := c.Submit(t.Context(), gearclient.Request{Function: "f"})
	refused, ok := errors.AsType[*gearclient.ServerError](err)
	if !ok || refused.Code != "QUEUE_ERROR" || refused.Text != "queue is full" || refused.Server != s.Addr() {
		t.Errorf("%v, want the server's words", err)
	}
	if !gearclient.SafeToRetry(err) {
		t.Error("a refused job is not safe to retry")
	}
	if _, err := c.Background(t.Context(), gearclient.Request{Function: "f"}); err != nil {
		t.Error(err)
	}
}

// TestOptionIsNeverFatal has servers that refuse the option, answer it late or
// never, or answer what they were not asked.
func TestOptionIsNeverFatal(t *testing.T) {
	t.Parallel()
	expectOption := geartest.Expect(wire.OptionReq, "exceptions")
	submitted := geartest.Expect(wire.SubmitJobBg, "f", "", "")
	created := geartest.Send(wire.JobCreated, "H:t:1")
	refused := geartest.Send(wire.Error, "UNKNOWN_OPTION", "exceptions")
	answered := geartest.Send(wire.OptionRes, "exceptions")
	for name, steps := range map[string][]geartest.Step{
		"refused":         {expectOption, refused, submitted, created},
		"refused late":    {expectOption, submitted, refused, created},
		"never answered":  {expectOption, submitted, created},
		"answered late":   {expectOption, submitted, created, answered},
		"answered twice":  {expectOption, answered, answered, submitted, answered, created},
		"an idle error":   {expectOption, answered, refused, submitted, created},
		"noop in between": {expectOption, geartest.Send(wire.Noop), submitted, geartest.Send(wire.Noop), created},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idle := make(chan struct{})
			steps = append(steps, geartest.Expect(wire.EchoReq, "still there"), geartest.Do(func() { close(idle) }),
				geartest.Send(wire.EchoRes, "still there"), geartest.ExpectClose())
			s := geartest.Start(t, geartest.Conn(steps...))
			c := newClient(t, s)
			h, err := c.Background(t.Context(), gearclient.Request{Function: "f"})
			if err != nil || h.Name != "H:t:1" {
				t.Fatalf("%v, %v", h, err)
			}
			if got, err := c.Echo(t.Context(), "", []byte("still there")); err != nil || string(got) != "still there" {
				t.Fatalf("%q, %v", got, err)
			}
			<-idle
		})
	}
}

// TestOptionUnansweredThenRefused: an error while the option is unanswered
// belongs to the submission, unless it speaks of an option.
func TestOptionUnansweredThenRefused(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.Conn(
		geartest.Expect(wire.OptionReq, "exceptions"),
		geartest.Expect(wire.SubmitJobBg, "f", "", ""),
		geartest.Send(wire.Error, "QUEUE_ERROR", "full"),
		geartest.ExpectClose(),
	))
	_, err := newClient(t, s).Background(t.Context(), gearclient.Request{Function: "f"})
	if _, ok := errors.AsType[*gearclient.ServerError](err); !ok {
		t.Errorf("%v, want a ServerError", err)
	}
}

func TestNoExceptionsSendsNoOption(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.Conn(
		geartest.Expect(wire.SubmitJobBg, "f", "", ""),
		geartest.Send(wire.JobCreated, "H:t:1"),
		geartest.ExpectClose(),
	))
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{s.Addr()}, NoExceptions: true})
	if _, err := c.Background(t.Context(), gearclient.Request{Function: "f"}); err != nil {
		t.Error(err)
	}
}

// TestManyJobsInFlight submits from many goroutines over one connection; the
// server ends the jobs in another order than it took them.
func TestManyJobsInFlight(t *testing.T) {
	t.Parallel()
	const jobs = 200
	n, held := 0, []wire.Packet(nil)
	s := geartest.Start(t, clientConn(geartest.Loop(geartest.Answer(func(p wire.Packet) []wire.Packet {
		n++
		handle := fmt.Sprintf("H:t:%d", n)
		held = append(held, geartest.Res(wire.WorkComplete, handle, "re "+string(p.Arg(2))), geartest.Res(wire.WorkData, handle, "d"))
		out := []wire.Packet{geartest.Res(wire.JobCreated, handle)}
		if n == jobs {
			slices.Reverse(held)
			out = append(out, held...)
		}
		return out
	}))))
	c := newClient(t, s)
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			updates := 0
			got, err := c.Do(t.Context(), gearclient.Request{
				Function: "f", Workload: fmt.Append(nil, i), OnUpdate: func(gearclient.Update) { updates++ },
			})
			if err != nil || string(got) != fmt.Sprintf("re %d", i) || updates != 1 {
				t.Errorf("job %d: %q, %v, %d updates", i, got, err, updates)
			}
		})
	}
	wg.Wait()
	if s.Conns() != 1 {
		t.Errorf("%d connections, want 1", s.Conns())
	}
}

// TestJoinedTasks has two tasks of one handle, as a unique key makes them: the
// server sends every packet twice.
func TestJoinedTasks(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "u", "1"),
		geartest.Send(wire.JobCreated, "H:t:1"),
		geartest.Send(wire.WorkData, "H:t:1", "early"),
		geartest.Expect(wire.SubmitJob, "f", "u", "2"),
		geartest.SendTogether(
			geartest.Res(wire.JobCreated, "H:t:1"),
			geartest.Res(wire.WorkData, "H:t:1", "both"), geartest.Res(wire.WorkData, "H:t:1", "both"),
			geartest.Res(wire.WorkComplete, "H:t:1", "end"), geartest.Res(wire.WorkComplete, "H:t:1", "end"),
		),
		geartest.Expect(wire.EchoReq, "x"), geartest.Send(wire.EchoRes, "x"),
		geartest.ExpectClose(),
	))
	c := newClient(t, s)
	first, err := c.Submit(t.Context(), gearclient.Request{Function: "f", Unique: "u", Workload: []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Submit(t.Context(), gearclient.Request{Function: "f", Unique: "u", Workload: []byte("2")})
	if err != nil {
		t.Fatal(err)
	}
	for task, want := range map[*gearclient.Task][]string{first: {"early", "both"}, second: {"both"}} {
		var got []string
		for u := range task.Updates(t.Context()) {
			got = append(got, string(u.Data))
		}
		if data, err := task.Wait(t.Context()); err != nil || string(data) != "end" || !slices.Equal(got, want) {
			t.Errorf("%q, %v, updates %q, want %q", data, err, got, want)
		}
	}
	if _, err := c.Echo(t.Context(), "", []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.GetStatus, "H:t:1"),
		geartest.Send(wire.StatusRes, "H:t:1", "1", "1", "3", "10"),
		geartest.Expect(wire.GetStatus, "H:t:2"),
		geartest.Send(wire.StatusRes, "H:t:2", "0", "0", "0", "0"),
		geartest.Expect(wire.GetStatusUnique, "u"),
		geartest.Send(wire.StatusResUnique, "u", "1", "0", "0", "0", "2"),
		geartest.ExpectClose(),
	))
	c := newClient(t, s)
	ask := func(name string, get func() (gearclient.Status, error), want gearclient.Status) {
		t.Helper()
		want.Server = s.Addr()
		if got, err := get(); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	ask("running", func() (gearclient.Status, error) {
		return c.Status(t.Context(), gearclient.Handle{Server: s.Addr(), Name: "H:t:1"})
	}, gearclient.Status{Known: true, Running: true, Numerator: 3, Denominator: 10})
	ask("unknown", func() (gearclient.Status, error) {
		return c.Status(t.Context(), gearclient.Handle{Name: "H:t:2"})
	}, gearclient.Status{})
	ask("unique", func() (gearclient.Status, error) {
		return c.UniqueStatus(t.Context(), "u")
	}, gearclient.Status{Known: true, Clients: 2})
	if _, err := c.Status(t.Context(), gearclient.Handle{Server: "other:1", Name: "H:t:1"}); err == nil {
		t.Error("asked a server that is not the client's")
	}
}

// TestBrokenPeers has servers that break the protocol in the middle of two
// jobs. Every task has to get an error, the connection must not be used again,
// and the next job goes over a new one.
func TestBrokenPeers(t *testing.T) {
	t.Parallel()
	for name, end := range map[string][]geartest.Step{
		"wrong magic":        {geartest.SendRaw([]byte("\x00REQ\x00\x00\x00\x06\x00\x00\x00\x00"))},
		"text":               {geartest.SendRaw([]byte("ERR unknown_command\r\n"))},
		"unknown type":       {geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x63\x00\x00\x00\x00"))},
		"missing argument":   {geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x0d\x00\x00\x00\x03H:1"))},
		"cut header":         {geartest.SendRaw([]byte("\x00RES\x00")), geartest.Close()},
		"cut body":           {geartest.SendPart(15, wire.WorkComplete, "H:t:1", "xyz"), geartest.Close()},
		"close":              {geartest.Close()},
		"reset":              {geartest.Reset()},
		"for a worker":       {geartest.Send(wire.NoJob)},
		"a second creation":  {geartest.Send(wire.JobCreated, "H:t:3")},
		"a status unasked":   {geartest.Send(wire.StatusRes, "H:t:1", "1", "1", "1", "1")},
		"an endless handle":  {geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x0d\x7f\xff\xff\xffH" + strings.Repeat("x", 5000)))},
		"an option too long": {geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x1b\x7f\xff\xff\xff")), geartest.Close()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := append([]geartest.Step{
				geartest.Expect(wire.SubmitJob, "f", "", "1"), geartest.Send(wire.JobCreated, "H:t:1"),
				geartest.Expect(wire.SubmitJob, "f", "", "2"), geartest.Send(wire.JobCreated, "H:t:2"),
			}, end...)
			if !slices.Contains([]string{"cut header", "cut body", "close", "reset", "an option too long"}, name) {
				steps = append(steps, geartest.ExpectClose())
			}
			s := geartest.Start(t, clientConn(steps...), clientConn(
				geartest.Expect(wire.SubmitJobBg, "f", "", "3"), geartest.Send(wire.JobCreated, "H:t:1"), geartest.ExpectClose()))
			c := newClient(t, s)
			var tasks []*gearclient.Task
			for _, w := range []string{"1", "2"} {
				task, err := c.Submit(t.Context(), gearclient.Request{Function: "f", Workload: []byte(w)})
				if err != nil {
					t.Fatal(err)
				}
				tasks = append(tasks, task)
			}
			for i, task := range tasks {
				_, err := task.Wait(t.Context())
				lost, ok := errors.AsType[*gearclient.LostError](err)
				if !ok || lost.Handle != fmt.Sprintf("H:t:%d", i+1) || lost.Server != s.Addr() || gearclient.SafeToRetry(err) {
					t.Errorf("task %d: %v, safe to retry %t", i+1, err, gearclient.SafeToRetry(err))
				}
			}
			if h, err := c.Background(t.Context(), gearclient.Request{Function: "f", Workload: []byte("3")}); err != nil || h.Name != "H:t:1" {
				t.Errorf("next job: %v, %v", h, err)
			}
		})
	}
}

// TestLostBeforeAnswer: what was sent and not answered is not sent again.
func TestLostBeforeAnswer(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(geartest.Expect(wire.SubmitJob, "f", "", ""), geartest.Close()))
	other := geartest.Start(t)
	c := jobtest.NewClient(t, s.Addr())
	_, err := c.Submit(t.Context(), gearclient.Request{Function: "f"})
	if lost, ok := errors.AsType[*gearclient.LostError](err); !ok || lost.Handle != "" || gearclient.SafeToRetry(err) {
		t.Errorf("%v, safe to retry %t", err, gearclient.SafeToRetry(err))
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("%v does not say why", err)
	}
	if other.Conns() > 0 {
		t.Error("sent twice")
	}
}

// silent runs a client against a server that stops answering, with a clock of
// its own, and tells how long the client waited.
func silent(t *testing.T, steps []geartest.Step, do func(*gearclient.Client) error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := geartest.StartPipe(t, clientConn(append(steps, geartest.NeverAnswer())...))
		c := newClient(t, s)
		began := time.Now()
		err := do(c)
		if _, ok := errors.AsType[*gearclient.LostError](err); !ok || !strings.Contains(err.Error(), "nothing for 10s") {
			t.Errorf("%v, want a LostError that says for how long", err)
		}
		if took := time.Since(began); took != gearclient.DefaultReplyTimeout {
			t.Errorf("gave up after %v, want %v", took, gearclient.DefaultReplyTimeout)
		}
		_ = c.Close()
	})
}

func TestSilentServers(t *testing.T) {
	t.Parallel()
	submit := func(c *gearclient.Client) error {
		_, err := c.Do(context.Background(), gearclient.Request{Function: "f"})
		return err
	}
	expect := geartest.Expect(wire.SubmitJob, "f", "", "")
	t.Run("never answers", func(t *testing.T) {
		t.Parallel()
		silent(t, []geartest.Step{expect}, submit)
	})
	t.Run("half a reply", func(t *testing.T) {
		t.Parallel()
		silent(t, []geartest.Step{expect, geartest.SendPart(14, wire.JobCreated, "H:t:1")}, submit)
	})
	t.Run("half a result", func(t *testing.T) {
		t.Parallel()
		silent(t, []geartest.Step{expect, geartest.Send(wire.JobCreated, "H:t:1"), geartest.SendPart(20, wire.WorkComplete, "H:t:1", "data")}, submit)
	})
	t.Run("no echo", func(t *testing.T) {
		t.Parallel()
		silent(t, nil, func(c *gearclient.Client) error {
			_, err := c.Echo(context.Background(), "", nil)
			if !gearclient.SafeToRetry(err) {
				t.Error("an echo is not safe to retry")
			}
			return err
		})
	})
}

// TestSilenceAfterIdleTime: the reader of a connection that nobody used for long
// learns that a reply is due.
func TestSilenceAfterIdleTime(t *testing.T) {
	t.Parallel()
	silent(t, []geartest.Step{
		geartest.Expect(wire.EchoReq, "x"), geartest.Send(wire.EchoRes, "x"), geartest.Expect(wire.SubmitJobBg, "f", "", ""),
	}, func(c *gearclient.Client) error {
		if _, err := c.Echo(context.Background(), "", []byte("x")); err != nil {
			t.Error(err)
		}
		synctest.Wait() // until the reader waits without a deadline
		_, err := c.Background(context.Background(), gearclient.Request{Function: "f"})
		return err
	})
}

// TestStatusOfAnotherJob: a reply that does not fit its request ends the
// connection.
func TestStatusOfAnotherJob(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.GetStatus, "H:t:1"),
		geartest.Send(wire.StatusRes, "H:t:2", "1", "1", "0", "0"),
		geartest.ExpectClose(),
	))
	st, err := newClient(t, s).Status(t.Context(), gearclient.Handle{Name: "H:t:1"})
	if _, ok := errors.AsType[*gearclient.LostError](err); !ok || !gearclient.SafeToRetry(err) {
		t.Errorf("%+v, %v, want a LostError that is safe to retry", st, err)
	}
}

// TestServerThatReadsNothing: a write that nobody takes ends the connection.
func TestServerThatReadsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := geartest.StartPipe(t, geartest.Conn(geartest.Do(func() { <-release })))
		c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{"a"}, Dial: s.Dial, NoExceptions: true})
		_, err := c.Submit(context.Background(), gearclient.Request{Function: "f"})
		if _, ok := errors.AsType[*gearclient.LostError](err); !ok || !strings.Contains(err.Error(), "nothing for 10s") {
			t.Error(err)
		}
		close(release)
		_ = c.Close()
	})
}

// TestLongJobIsNoTimeout: a job may take as long as it likes, and a large
// packet may come slowly, as long as something comes.
func TestLongJobIsNoTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		result := wire.AppendUnchecked(nil, wire.Response, wire.WorkComplete, []byte("H:t:1"), []byte("slowly"))
		steps := []geartest.Step{
			geartest.Expect(wire.SubmitJob, "f", "", ""), geartest.Send(wire.JobCreated, "H:t:1"),
			geartest.Do(func() { time.Sleep(24 * time.Hour) }),
		}
		for i := range result {
			steps = append(steps, geartest.SendRaw(result[i:i+1]), geartest.Do(func() { time.Sleep(9 * time.Second) }))
		}
		s := geartest.StartPipe(t, clientConn(append(steps, geartest.ExpectClose())...))
		c := newClient(t, s)
		got, err := c.Do(context.Background(), gearclient.Request{Function: "f"})
		if err != nil || string(got) != "slowly" {
			t.Errorf("%q, %v", got, err)
		}
		_ = c.Close()
		<-s.Done()
	})
}

// TestContextEndsWhileWaiting: the answer that comes later goes nowhere, and
// the connection serves on.
func TestContextEndsWhileWaiting(t *testing.T) {
	t.Parallel()
	taken, late := make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", "1"),
		geartest.Signal(taken),
		geartest.Wait(late),
		geartest.SendTogether(geartest.Res(wire.JobCreated, "H:t:1"), geartest.Res(wire.WorkComplete, "H:t:1", "nobody's")),
		geartest.Expect(wire.SubmitJob, "f", "", "2"),
		geartest.Send(wire.JobCreated, "H:t:2"),
		geartest.Send(wire.WorkComplete, "H:t:2", "second"),
		geartest.ExpectClose(),
	))
	c := newClient(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no more patience")
	go func() { <-taken; cancel(why) }()
	if _, err := c.Do(ctx, gearclient.Request{Function: "f", Workload: []byte("1")}); !errors.Is(err, why) || gearclient.SafeToRetry(err) {
		t.Errorf("%v, want the context's cause, and not safe to retry", err)
	}
	close(late)
	if got, err := c.Do(t.Context(), gearclient.Request{Function: "f", Workload: []byte("2")}); err != nil || string(got) != "second" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWaitEndsWithContextAndAbandon(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", ""), geartest.Send(wire.JobCreated, "H:t:1"),
		geartest.Expect(wire.EchoReq, "x"),
		geartest.SendTogether(geartest.Res(wire.WorkComplete, "H:t:1", "late"), geartest.Res(wire.EchoRes, "x")),
		geartest.ExpectClose(),
	))
	c := newClient(t, s)
	task, err := c.Submit(t.Context(), gearclient.Request{Function: "f"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := task.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	task.Abandon()
	task.Abandon()
	if _, err := c.Echo(t.Context(), "", []byte("x")); err != nil {
		t.Error(err)
	}
	if data, err := task.Wait(t.Context()); !errors.Is(err, gearclient.ErrAbandoned) || data != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestResultOverTheCap(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", ""), geartest.Send(wire.JobCreated, "H:t:1"),
		geartest.Send(wire.WorkComplete, "H:t:1", strings.Repeat("x", 101)),
		geartest.Expect(wire.SubmitJob, "f", "", ""), geartest.Send(wire.JobCreated, "H:t:2"),
		geartest.Send(wire.WorkComplete, "H:t:2", strings.Repeat("x", 100)),
		geartest.ExpectClose(),
	))
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{s.Addr()}, MaxData: 100})
	_, err := c.Do(t.Context(), gearclient.Request{Function: "f"})
	large, ok := errors.AsType[*wire.TooLargeError](err)
	if !ok || large.Size != 101 || large.Limit != 100 || !strings.Contains(err.Error(), "H:t:1") {
		t.Errorf("%v, want both sizes and the handle", err)
	}
	if got, err := c.Do(t.Context(), gearclient.Request{Function: "f"}); err != nil || len(got) != 100 {
		t.Errorf("next job: %d bytes, %v", len(got), err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	taken := make(chan struct{})
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", "1"), geartest.Send(wire.JobCreated, "H:t:1"),
		geartest.Expect(wire.SubmitJob, "f", "", "2"), geartest.Signal(taken),
		geartest.ExpectClose(),
	))
	c := newClient(t, s)
	task, err := c.Submit(t.Context(), gearclient.Request{Function: "f", Workload: []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Submit(t.Context(), gearclient.Request{Function: "f", Workload: []byte("2")})
		ended <- err
	}()
	<-taken
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { _ = c.Close() })
	}
	wg.Wait()
	_, waitErr := task.Wait(t.Context())
	_, after := c.Background(t.Context(), gearclient.Request{Function: "f"})
	for what, err := range map[string]error{"running": waitErr, "submitting": <-ended, "afterwards": after} {
		if !errors.Is(err, gearclient.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
}

// TestLargeWorkload sends one that needs several writes.
func TestLargeWorkload(t *testing.T) {
	t.Parallel()
	work := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	s := geartest.Start(t, clientConn(
		geartest.Expect(wire.SubmitJob, "f", "", work), geartest.Send(wire.JobCreated, "H:t:1"),
		geartest.Send(wire.WorkComplete, "H:t:1", work), geartest.ExpectClose(),
	))
	got, err := newClient(t, s).Do(t.Context(), gearclient.Request{Function: "f", Workload: []byte(work)})
	if err != nil || string(got) != work {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
