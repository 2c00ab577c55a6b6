package gearclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// runningWorker is a worker whose Run has been called.
type runningWorker struct {
	*gearclient.Worker
	stop  context.CancelCauseFunc // ends the context of Run
	ended chan error              // what Run returned
}

// startWorker makes a worker and runs it. The test's end drains it, which has to
// end it.
func startWorker(t *testing.T, cfg gearclient.WorkerConfig) *runningWorker {
	t.Helper()
	if cfg.Handler == nil {
		cfg.Handler = backwards
	}
	if cfg.Functions == nil {
		cfg.Functions = []string{"reverse"}
	}
	w, err := gearclient.NewWorker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	r := &runningWorker{w, stop, make(chan error, 1)}
	go func() {
		r.ended <- w.Run(ctx)
		close(r.ended)
	}()
	t.Cleanup(func() {
		w.Drain()
		_ = testutil.Receive(t, "the end of the worker", r.ended)
		stop(nil)
	})
	return r
}

// backwards is a handler that answers with the workload backwards. It turns the
// workload itself round, as handlers may.
func backwards(_ context.Context, job *gearclient.Job) gearclient.Result {
	slices.Reverse(job.Workload())
	return gearclient.Result{Data: job.Workload()}
}

// registers are the steps with which a connection of a worker begins.
func registers(sent ...string) []geartest.Step {
	var steps []geartest.Step
	for _, f := range sent {
		steps = append(steps, geartest.Expect(wire.CanDo, f))
	}
	return append(steps, geartest.Expect(wire.EchoReq, geartest.Any), geartest.Send(wire.EchoRes, "ready?"))
}

// workerConn scripts a connection of a worker that performs backwards, after its
// registration.
func workerConn(steps ...geartest.Step) geartest.Script {
	return geartest.Conn(append(registers("reverse"), steps...)...)
}

// Steps and packets that most scripts have.
var (
	grabs  = geartest.Expect(wire.GrabJobUniq)
	noJob  = geartest.Send(wire.NoJob)
	sleeps = geartest.Expect(wire.PreSleep)
	wakes  = geartest.Send(wire.Noop)
	leaves = geartest.ExpectClose()
)

// assigns sends a job.
func assigns(handle, workload string) geartest.Step {
	return geartest.Send(wire.JobAssignUniq, handle, "reverse", "", workload)
}

// completes expects a job's result and the next GRAB_JOB in one piece.
func completes(handle, result string) geartest.Step {
	return geartest.ExpectInOneRead(geartest.Req(wire.WorkComplete, handle, result), geartest.Req(wire.GrabJobUniq))
}

// rests answers as a server without jobs until the worker has left.
func rests() geartest.Step {
	return geartest.Loop(geartest.Answer(func(p wire.Packet) []wire.Packet {
		if p.Type == wire.GrabJobUniq {
			return []wire.Packet{geartest.Res(wire.NoJob)}
		}
		return nil
	}))
}

// fallsAsleep is the answer to a GRAB_JOB that was sent before.
func fallsAsleep() []geartest.Step { return []geartest.Step{noJob, sleeps} }

// script puts steps and lists of steps together.
func script(parts ...any) []geartest.Step {
	var steps []geartest.Step
	for _, p := range parts {
		switch p := p.(type) {
		case geartest.Step:
			steps = append(steps, p)
		case []geartest.Step:
			steps = append(steps, p...)
		}
	}
	return steps
}

func TestWorkerConfigIsChecked(t *testing.T) {
	t.Parallel()
	ok := func() gearclient.WorkerConfig {
		return gearclient.WorkerConfig{Servers: []string{"a"}, Handler: backwards}
	}
	for want, change := range map[string]func(*gearclient.WorkerConfig){
		"Handler is nil":               func(c *gearclient.WorkerConfig) { c.Handler = nil },
		"Slots -1":                     func(c *gearclient.WorkerConfig) { c.Slots = -1 },
		"Hold 3":                       func(c *gearclient.WorkerConfig) { c.Hold = 3 },
		"is a URL":                     func(c *gearclient.WorkerConfig) { c.Servers = []string{"http://a"} },
		"the name has 0 bytes":         func(c *gearclient.WorkerConfig) { c.Functions = []string{""} },
		"the name has 513 bytes":       func(c *gearclient.WorkerConfig) { c.Functions = []string{strings.Repeat("x", 513)} },
		"the name holds a NUL byte":    func(c *gearclient.WorkerConfig) { c.Functions = []string{"a\x00"} },
		`invalid request for function`: func(c *gearclient.WorkerConfig) { c.Functions = []string{"b", "a\x00"} },
	} {
		cfg := ok()
		change(&cfg)
		if _, err := gearclient.NewWorker(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := gearclient.NewWorker(ok()); err != nil {
		t.Error(err)
	}
}

// TestRegistration compares what is sent with what a server then knows, which
// is to be what is wanted, in its order.
func TestRegistration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ known, want, sent string }{
		{"", "", ""},
		{"a b", "a b", ""},
		{"", "a b", "+a +b"},
		{"a b", "", "-a -b"},
		{"a b c", "a c", "-b"},
		{"a b", "a b c", "+c"},
		{"a b c", "a c d", "-b +d"},
		{"a b", "b a", "-a +a"},
		{"a b", "c a b", "+c -a +a -b +b"},
		{"a b c d", "a c b d", "-b +b -d +d"},
		{"a b c d", "b c d", "-a"},
		{"a c", "a b c", "+b -c +c"},
		{"a b c", "d c b", "-a +d -c +c -b +b"},
		{"a b c", "c", "-a -b"},
	} {
		known, want := strings.Fields(c.known), strings.Fields(c.want)
		var sent []string
		r := wire.NewReader(bytes.NewReader(gearclient.Registration(known, want)), wire.Request, 0)
		for {
			p, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			name := string(p.Arg(0))
			if p.Type == wire.CanDo {
				sent, known = append(sent, "+"+name), append(known, name)
				continue
			}
			sent = append(sent, "-"+name)
			known = slices.DeleteFunc(known, func(f string) bool { return f == name })
		}
		if got := strings.Join(sent, " "); got != c.sent {
			t.Errorf("from %q to %q: %q, want %q", c.known, c.want, got, c.sent)
		}
		if !slices.Equal(known, want) {
			t.Errorf("from %q to %q: the server then knows %q", c.known, c.want, known)
		}
	}
}

func TestReconnectDelay(t *testing.T) {
	t.Parallel()
	for tries, bound := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 200 * time.Millisecond, 5: 3200 * time.Millisecond,
		6: 5 * time.Second, 7: 5 * time.Second, 1 << 40: 5 * time.Second,
	} {
		for _, chance := range []float64{0, 0.5, 0.999} {
			want := time.Duration(chance * float64(bound))
			if got := gearclient.ReconnectDelay(tries, chance); got != want {
				t.Errorf("%d tries, chance %v: %v, want %v", tries, chance, got, want)
			}
		}
	}
}
