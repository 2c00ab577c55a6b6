package gearclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// talk scripts one connection of an Admin: commands and their replies in turn.
func talk(lines ...string) geartest.Script {
	var steps []geartest.Step
	for i := 0; i < len(lines); i += 2 {
		steps = append(steps, geartest.ExpectBytes([]byte(lines[i]+"\r\n")), geartest.SendRaw([]byte(lines[i+1])))
	}
	return geartest.Conn(append(steps, geartest.ExpectClose())...)
}

// TestAdminReads has replies as gearmand 1.1.20 gives them, and the odd ones.
func TestAdminReads(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t,
		talk(
			"status", "g h\t0\t0\t1\nf\t3\t4294967295\t1\nmore\t1\t2\t1\ntab\tin name\t5\t2\t0\nwrapped\t4294967295\t1\t0\n.\n",
			"prioritystatus", "f\t0\t3\t4294967294\t1\n.\n",
			"workers", "37 127.0.0.1 my id : g f\n38 ::1 - :\n39 10.0.0.1 host/pool/1 :f\n.\n",
			"version", "OK 1.1.20+ds\n",
			"getpid", "OK 19519\n",
			"show jobs", "H:vm:1\t2\t0\t1\nH:vm:3\t0\t1\t0\n.\n",
			"show unique jobs", "\njoined\nuu\n.\n",
		),
		talk("status", ".\r\n"), // the connection is not used on after keys, of which one may be a dot
	)
	a := jobtest.NewAdmin(t, s.Addr())
	ctx := t.Context()
	check(t, a.Status, ctx, []gearclient.FunctionStatus{
		{"g h", 0, 0, 1}, {"f", 3, 0, 1}, {"more", 1, 1, 1}, {"tab\tin name", 5, 2, 0}, {"wrapped", 0, 0, 0},
	})
	check(t, a.Queues, ctx, []gearclient.QueueStatus{{"f", 0, 3, 0, 1}})
	check(t, a.Workers, ctx, []gearclient.WorkerInfo{
		{37, "127.0.0.1", "my id", []string{"g", "f"}}, {38, "::1", "-", []string{}}, {39, "10.0.0.1", "host/pool/1", []string{"f"}},
	})
	check(t, a.Version, ctx, "1.1.20+ds")
	check(t, a.PID, ctx, 19519)
	check(t, a.Jobs, ctx, []gearclient.JobInfo{{"H:vm:1", 2, false, true}, {"H:vm:3", 0, true, false}})
	check(t, a.UniqueJobs, ctx, []string{"joined", "uu"})
	check(t, a.Status, ctx, nil)
}

func check[T any](t *testing.T, get func(context.Context) (T, error), ctx context.Context, want T) { //nolint:revive // t comes first
	t.Helper()
	got, err := get(ctx)
	if err != nil {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAdminChanges(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, talk(
		"maxqueue f 1 2 0", "OK\r\n",
		"create function abcdef", "OK\r\n",
		"cancel job H:vm:1", "OK\r\n",
		"cancel job H:vm:2", "ERR UNKNOWN_JOB\r\n",
		"status", "f\t0\t0\t0\n.\n",
		"drop function f", "OK\r\n",
	))
	a := jobtest.NewAdmin(t, s.Addr())
	ctx := t.Context()
	for what, err := range map[string]error{
		"limit":  a.SetMaxQueue(ctx, "f", gearclient.QueueLimits{High: 1, Normal: 2}),
		"create": a.CreateFunction(ctx, "abcdef"),
		"cancel": a.CancelJob(ctx, "H:vm:1"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	err := a.CancelJob(ctx, "H:vm:2")
	if e, ok := errors.AsType[*gearclient.ServerError](err); !ok || e.Code != "UNKNOWN_JOB" {
		t.Errorf("cancel of an unknown job: %v", err)
	}
	if err := a.DropFunction(ctx, "f"); err != nil {
		t.Errorf("drop: %v", err)
	}
}

// TestAdminFences: a drop that would do harm is never sent.
func TestAdminFences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ status, want string }{
		"queued":  {"f\t1\t0\t0\n", "1 jobs and 0 workers"},
		"running": {"f\t1\t1\t0\n", "1 jobs"},
		"workers": {"f\t0\t0\t2\n", "2 workers"},
		"case":    {"f\t0\t0\t0\nF\t1\t0\t0\n", `from "F"`},
		"unknown": {"g\t0\t0\t0\n", "does not know it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := geartest.Start(t, talk("status", c.status+".\n"))
			err := jobtest.NewAdmin(t, s.Addr()).DropFunction(t.Context(), "f")
			if e, ok := errors.AsType[*gearclient.FunctionError](err); !ok || e.Function != "f" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want a FunctionError with %q", err, c.want)
			}
		})
	}
}

func TestAdminRefusesNames(t *testing.T) {
	t.Parallel()
	a := jobtest.NewAdmin(t, testutil.FreeAddr(t))
	for _, name := range []string{"", "a b", "a\tb", "a\r\nshutdown", "a\x00", strings.Repeat("f", 513)} {
		for what, err := range map[string]error{
			"create": a.CreateFunction(t.Context(), name),
			"drop":   a.DropFunction(t.Context(), name),
			"limit":  a.SetMaxQueue(t.Context(), name, gearclient.QueueLimits{}),
		} {
			if _, ok := errors.AsType[*gearclient.FunctionError](err); !ok {
				t.Errorf("%s %q: %v, want a FunctionError", what, name, err)
			}
		}
	}
	if err := a.SetMaxQueue(t.Context(), "f", gearclient.QueueLimits{Low: -1}); err == nil {
		t.Error("a negative limit")
	}
	if err := a.CancelJob(t.Context(), "H:1\nstatus"); err == nil || gearclient.SafeToRetry(err) {
		t.Errorf("a handle of two lines: %v", err)
	}
}

// TestAdminBadReplies: each makes an error that shows the line, and a new
// connection for the next command, unless the server merely refused.
func TestAdminBadReplies(t *testing.T) {
	t.Parallel()
	isReply := func(err error) bool { _, ok := errors.AsType[*gearclient.ReplyError](err); return ok }
	isLost := func(err error) bool {
		_, ok := errors.AsType[*gearclient.LostError](err)
		return ok && errors.Is(err, io.EOF)
	}
	isServer := func(err error) bool { _, ok := errors.AsType[*gearclient.ServerError](err); return ok }
	for name, c := range map[string]struct {
		reply string
		want  string
		is    func(error) bool
	}{
		"few columns":     {"f\t1\t2\n", "3 columns, want 4", isReply},
		"no number":       {"f\t1\tx\t2\n", `"x" is no count`, isReply},
		"large number":    {"f\t1\t4294967296\t2\n", "is no count", isReply},
		"negative number": {"f\t1\t-9999999999\t2\n", "is no count", isReply},
		"packet":          {"\x00RES\x00\x00\x00\x06\x00\x00\x00\x00\n", "columns", isReply},
		"HTTP":            {"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400", isReply},
		"close":           {"f\t1\t0\t1\n", "closed", isLost},
		"close in a line": {"f\t1\t0", "closed", isLost},
		"nothing":         {"", "closed", isLost},
		"unknown command": {"ERR UNKNOWN_COMMAND Unknown+server+commandstatus\r\n", "UNKNOWN_COMMAND: Unknown server command", isServer},
		"no code":         {"ERR function not found\r\n", "ERR: function not found", isServer},
		"endless":         {strings.Repeat("f\t1\t0\t1\n", 200), "over 1000 bytes", isReply},
		"endless line":    {strings.Repeat("f", 2000), "over 1000 bytes", isReply},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := []geartest.Step{geartest.ExpectLine("status"), geartest.SendRaw([]byte(c.reply)), geartest.Close()}
			s := geartest.Start(t, geartest.Conn(first...), talk("version", "OK 2\n"))
			a := jobtest.NewAdminWith(t, gearclient.AdminConfig{Server: s.Addr(), MaxReply: 1000})
			list, err := a.Status(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "status: ") || list != nil {
				t.Fatalf("%v, %v, want %q", list, err, c.want)
			}
			if !c.is(err) {
				t.Errorf("%v has the wrong type", err)
			}
			if isServer(err) { // the connection is as good as before, but the script closed it
				_, _ = a.Version(t.Context())
			}
			if v, err := a.Version(t.Context()); err != nil || v != "2" {
				t.Errorf("next command: %q, %v", v, err)
			}
		})
	}
}

func TestAdminOneLineReplies(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]string{
		"OKAY\n":        "want OK",
		"\n":            "want OK",
		".\n":           "want OK",
		"OK pid\n":      "want a process id",
		"ERR NOT_NOW\n": "NOT_NOW",
	} {
		s := geartest.Start(t, geartest.Conn(geartest.ExpectLine("getpid"), geartest.SendRaw([]byte(reply)), geartest.ExpectClose()))
		a := jobtest.NewAdmin(t, s.Addr())
		if pid, err := a.PID(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d, %v, want %q", reply, pid, err, want)
		}
		_ = a.Close()
	}
}

// TestAdminSurplus: what comes after the end of a reply is never taken for the
// next one.
func TestAdminSurplus(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t,
		geartest.Conn(geartest.ExpectLine("version"), geartest.SendRaw([]byte("OK 1\nOK surplus\n")), geartest.ExpectClose()),
		talk("version", "OK 2\n"))
	a := jobtest.NewAdmin(t, s.Addr())
	for _, want := range []string{"1", "2"} {
		if v, err := a.Version(t.Context()); err != nil || v != want {
			t.Errorf("%q, %v, want %s", v, err, want)
		}
	}
}

func TestAdminSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := geartest.StartPipe(t, geartest.Conn(
			geartest.ExpectLine("status"), geartest.SendRaw([]byte("f\t1\t0\t")), geartest.NeverAnswer()))
		a := jobtest.NewAdminWith(t, gearclient.AdminConfig{Server: "a", Dial: s.Dial})
		began := time.Now()
		_, err := a.Status(context.Background())
		if _, ok := errors.AsType[*gearclient.LostError](err); !ok || !strings.Contains(err.Error(), "nothing for 10s") {
			t.Error(err)
		}
		if took := time.Since(began); took != gearclient.DefaultReplyTimeout {
			t.Errorf("gave up after %v", took)
		}
	})
}

// TestAdminSlowReply: a reply may take long as long as it goes on.
func TestAdminSlowReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		steps := []geartest.Step{geartest.ExpectLine("status")}
		for range 20 {
			steps = append(steps, geartest.Do(func() { time.Sleep(9 * time.Second) }), geartest.SendRaw([]byte("f\t1\t0\t1\n")))
		}
		s := geartest.StartPipe(t, geartest.Conn(append(steps, geartest.SendRaw([]byte(".\n")), geartest.ExpectClose())...))
		a := jobtest.NewAdminWith(t, gearclient.AdminConfig{Server: "a", Dial: s.Dial})
		if list, err := a.Status(context.Background()); err != nil || len(list) != 20 {
			t.Errorf("%d rows, %v", len(list), err)
		}
		_ = a.Close()
		<-s.Done()
	})
}

// TestAdminTakesTurns asks from many goroutines, some of which give up.
func TestAdminTakesTurns(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := geartest.Start(t,
		geartest.Conn(geartest.ExpectLine("version"), geartest.Wait(release), geartest.SendRaw([]byte("OK 1\n")),
			geartest.Loop(geartest.ExpectLine("version"), geartest.SendRaw([]byte("OK 1\n")))))
	a := jobtest.NewAdmin(t, s.Addr())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if v, err := a.Version(t.Context()); err != nil || v != "1" {
				t.Errorf("%q, %v", v, err)
			}
		})
	}
	close(release)
	wg.Wait()
	_ = a.Close()
	_ = a.Close()
	if _, err := a.Version(t.Context()); !errors.Is(err, gearclient.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAdminContext(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := geartest.Start(t,
		geartest.Conn(geartest.ExpectLine("version"), geartest.Signal(asked), geartest.NeverAnswer()),
		talk("version", "OK 2\n"))
	a := jobtest.NewAdmin(t, s.Addr())
	why := fmt.Errorf("enough: %w", context.Canceled)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 2)
	go func() { _, err := a.Version(ctx); ended <- err }()
	<-asked
	go func() { _, err := a.Version(ctx); ended <- err }() // waits for its turn
	cancel(why)
	for range 2 {
		if err := <-ended; !errors.Is(err, why) {
			t.Errorf("%v, want the context's cause", err)
		}
	}
	if v, err := a.Version(t.Context()); err != nil || v != "2" {
		t.Errorf("%q, %v", v, err)
	}
}

func TestAdminConnect(t *testing.T) {
	t.Parallel()
	a := jobtest.NewAdmin(t, testutil.FreeAddr(t))
	_, err := a.Version(t.Context())
	if e, ok := errors.AsType[*gearclient.ConnectError](err); !ok || e.Addr != a.Server() {
		t.Errorf("%v, want a ConnectError", err)
	}
	if _, err := gearclient.NewAdmin(gearclient.AdminConfig{}); err == nil {
		t.Error("an Admin without server")
	}
}
