package jobserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// events collects what a server tells.
type events struct {
	mu   sync.Mutex
	seen []Event
	more chan struct{} // 1-buffered
}

// tell is the hook.
func (e *events) tell(ev Event) {
	e.mu.Lock()
	e.seen = append(e.seen, ev)
	e.mu.Unlock()
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// wait waits for an event that fits.
func (e *events) wait(t *testing.T, fits func(Event) bool) Event {
	t.Helper()
	deadline := time.After(testutil.Patience)
	for {
		e.mu.Lock()
		for _, ev := range e.seen {
			if fits(ev) {
				e.mu.Unlock()
				return ev
			}
		}
		e.mu.Unlock()
		select {
		case <-e.more:
		case <-deadline:
			t.Fatal("the event did not come")
		}
	}
}

// start starts a server that ends with the test.
func start(t *testing.T, conf Config) (*Server, *events) {
	t.Helper()
	e := &events{more: make(chan struct{}, 1)}
	conf.HandlePrefix, conf.Events = "H", e.tell
	s, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s, e
}

// stop stops a server.
func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// client is a connection to a server.
type client struct {
	t  *testing.T
	nc net.Conn
	r  *wire.Reader
}

// connect returns a client of s.
func connect(t *testing.T, s *Server) *client {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(testutil.Patience))
	return &client{t, nc, wire.NewReader(nc, wire.Response, 0)}
}

// send sends a request.
func (c *client) send(typ wire.Type, args ...[]byte) {
	c.t.Helper()
	if _, err := c.nc.Write(wire.AppendUnchecked(nil, wire.Request, typ, args...)); err != nil {
		c.t.Fatal(err)
	}
}

// want reads one packet.
func (c *client) want(want string) {
	c.t.Helper()
	p, err := c.r.Next()
	if err != nil || p.String() != want {
		c.t.Fatalf("got %v, %v, want %s", p, err, want)
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() != "" {
		t.Errorf("address %q before the start", s.Addr())
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); !errors.Is(err, ErrStarted) {
		t.Errorf("second start: %v, want %v", err, ErrStarted)
	}
	c := connect(t, s)
	stop(t, s)
	stop(t, s)
	if _, err := c.r.Next(); err == nil {
		t.Error("connection outlived the server")
	}
	if err := s.Start(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("start after stop: %v, want %v", err, ErrStopped)
	}
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	if err := s.Start(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("start: %v, want %v", err, ErrStopped)
	}
}

func TestStartOnATakenPort(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	other, err := New(Config{Addr: s.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	var op *net.OpError
	if err := other.Start(t.Context()); !errors.As(err, &op) {
		t.Errorf("start: %v, want the error of listening", err)
	}
	stop(t, other)
}

func TestEndOfContextStops(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	c := connect(t, s)
	cancel()
	if _, err := c.r.Next(); err == nil {
		t.Error("connection outlived the context")
	}
	stop(t, s)
}

// TestStress starts and stops servers while peers come and work.
func TestStress(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 50 {
				stressOnce(t)
			}
		})
	}
	all.Wait()
}

// stressOnce is one life of a server.
func stressOnce(t *testing.T) {
	t.Helper()
	s, err := New(Config{})
	if err != nil {
		t.Error(err)
		return
	}
	if err := s.Start(t.Context()); err != nil {
		t.Error(err)
		return
	}
	var peers sync.WaitGroup
	for range 2 {
		peers.Go(func() {
			nc, err := net.Dial("tcp", s.Addr())
			if err != nil {
				return // stopped already
			}
			defer func() { _ = nc.Close() }()
			_, _ = nc.Write(wire.AppendUnchecked(nil, wire.Request, wire.CanDo, []byte("f")))
			_, _ = nc.Write(wire.AppendUnchecked(nil, wire.Request, wire.SubmitJob, []byte("f"), nil, nil))
			_, _ = nc.Write(wire.AppendUnchecked(nil, wire.Request, wire.GrabJob))
		})
	}
	var stops sync.WaitGroup
	for range 2 {
		stops.Go(func() { stop(t, s) })
	}
	stops.Wait()
	peers.Wait()
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for field, conf := range map[string]Config{
		"JobRetries":   {JobRetries: -1},
		"WorkerWakeup": {WorkerWakeup: -1},
		"MaxData":      {MaxData: -1, MaxPending: 1},
		"MaxPending":   {MaxPending: 1},
		"HandlePrefix": {HandlePrefix: strings.Repeat("h", maxPrefix+1)},
	} {
		var ce *ConfigError
		if _, err := New(conf); !errors.As(err, &ce) || ce.Field != field {
			t.Errorf("%+v: %v, want an error about %s", conf, err, field)
		}
	}
	var ce *ConfigError
	if _, err := New(Config{HandlePrefix: "a b"}); !errors.As(err, &ce) {
		t.Errorf("prefix with a space: %v", err)
	}
}

// TestLargeData takes a workload and a result of the size of the cap through,
// and refuses one byte more while the connections live on.
func TestLargeData(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	s, _ := start(t, Config{MaxData: limit})
	c, w := connect(t, s), connect(t, s)
	data := bytes.Repeat([]byte("x\x00"), limit/2)
	w.send(wire.CanDo, []byte("f"))
	c.send(wire.SubmitJob, []byte("f"), nil, append(data, 'y'))
	c.want(fmt.Sprintf(`RES ERROR "ARGUMENT_TOO_LARGE" "SUBMIT_JOB: %d bytes of data, over the limit of %d"`, limit+1, limit))
	c.send(wire.SubmitJob, []byte("f"), nil, data)
	c.want(`RES JOB_CREATED "H:1"`)
	w.send(wire.GrabJob)
	p, err := w.r.Next()
	if err != nil || !bytes.Equal(p.Arg(2), data) {
		t.Fatalf("workload of %d bytes, %v", len(p.Arg(2)), err)
	}
	w.send(wire.WorkData, []byte("H:1"), data)
	w.send(wire.WorkComplete, []byte("H:1"), append(data, 'y'))
	if p, err = c.r.Next(); err != nil || !bytes.Equal(p.Arg(1), data) {
		t.Fatalf("data of %d bytes, %v", len(p.Arg(1)), err)
	}
	c.want(`RES WORK_FAIL "H:1"`)
}

// TestSlowReaderHoldsUpNobody: a client that does not read its results is
// disconnected when too much waits for it; workers and other clients go on.
func TestSlowReaderHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s, e := start(t, Config{MaxData: 1 << 20})
	slow, w, c := connect(t, s), connect(t, s), connect(t, s)
	w.send(wire.CanDo, []byte("f"))
	slow.send(wire.SubmitJob, []byte("f"), nil, nil)
	slow.want(`RES JOB_CREATED "H:1"`)
	w.send(wire.GrabJob)
	w.want(`RES JOB_ASSIGN "H:1" "f" ""`)
	chunk := make([]byte, 1<<20)
	for range 40 { // more than MaxPending and what sockets hold
		w.send(wire.WorkData, []byte("H:1"), chunk)
	}
	e.wait(t, func(ev Event) bool {
		closed, ok := ev.(ConnClosed)
		return ok && errors.Is(closed.Err, errSlowPeer)
	})
	w.send(wire.WorkComplete, []byte("H:1"), nil)
	c.send(wire.SubmitJob, []byte("f"), nil, []byte("next"))
	c.want(`RES JOB_CREATED "H:2"`)
	w.send(wire.GrabJob)
	w.want(`RES JOB_ASSIGN "H:2" "f" "next"`)
}

// TestWhoDoesNotReadIsNotReadFrom: a peer that only asks is stopped by its own
// full connection, not by running the server out of memory, and goes on where
// it stood when it reads.
func TestWhoDoesNotReadIsNotReadFrom(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{MaxData: 64 << 10})
	c := connect(t, s)
	const echoes = 400 // 25 MB
	request := wire.AppendUnchecked(nil, wire.Request, wire.EchoReq, make([]byte, 64<<10))
	_ = c.nc.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	sent := 0
	for range echoes {
		n, err := c.nc.Write(request)
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if sent == echoes*len(request) {
		t.Fatal("the server took everything")
	}
	for range sent / len(request) {
		if _, err := c.r.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHalfClosedPeerIsAnswered: a peer that has said its last word still gets
// its answers.
func TestHalfClosedPeerIsAnswered(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	c := connect(t, s)
	if _, err := io.WriteString(c.nc, "status\nversion\n"); err != nil {
		t.Fatal(err)
	}
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok {
		t.Fatal("no TCP connection")
	}
	if err := tcp.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c.nc)
	if want := ".\nOK " + Version + "\n"; err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// TestLastAnswersAreWaitedFor: what a half-closed peer has not read yet is not
// cut off, however much it is.
func TestLastAnswersAreWaitedFor(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{MaxPending: 1 << 30})
	c := connect(t, s)
	const echoes = 80 // 10 MB: more than sockets hold
	data := make([]byte, 128<<10)
	for range echoes {
		c.send(wire.EchoReq, data)
	}
	if err := c.nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for i := range echoes {
		if p, err := c.r.Next(); err != nil || len(p.Arg(0)) != len(data) {
			t.Fatalf("answer %d: %d bytes, %v", i, len(p.Arg(0)), err)
		}
	}
	if _, err := c.r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v, want EOF", err)
	}
}

// TestFaultsEndOneConnection: a panic while a request is performed becomes the
// end of its connection, and leaves the queue unlocked.
func TestFaultsEndOneConnection(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	near, far := net.Pipe()
	defer func() { _ = errors.Join(near.Close(), far.Close()) }()
	c := newConn(s, near)
	err := c.guard(func() error {
		s.do(&c.effects, func(*queue) { panic("a fault") })
		return nil
	})
	if !errors.Is(err, errInternal) {
		t.Fatalf("ended with %v, want %v", err, errInternal)
	}
	other := connect(t, s)
	other.send(wire.EchoReq, []byte("alive"))
	other.want(`RES ECHO_RES "alive"`)
}

// TestEndsAreTold: how a connection ended is in its event.
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	s, e := start(t, Config{})
	gone := func(c *client) error {
		t.Helper()
		ev := e.wait(t, func(ev Event) bool {
			closed, ok := ev.(ConnClosed)
			return ok && closed.Remote.String() == c.nc.LocalAddr().String()
		})
		return ev.(ConnClosed).Err
	}
	polite, rude := connect(t, s), connect(t, s)
	_ = polite.nc.Close()
	if err := gone(polite); err != nil {
		t.Errorf("goodbye: %v", err)
	}
	rude.send(99)
	var format *wire.FormatError
	if err := gone(rude); !errors.As(err, &format) {
		t.Errorf("unknown packet: %v, want a format error", err)
	}
}

// TestManyClientsAndWorkers runs many jobs through and counts their answers.
func TestManyClientsAndWorkers(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{WorkerWakeup: 1})
	const clients, each = 8, 250
	workers := make([]*client, 4)
	var working, asking sync.WaitGroup
	for i := range workers {
		workers[i] = connect(t, s)
		working.Go(func() { workOn(workers[i]) })
	}
	for range clients {
		c := connect(t, s)
		asking.Go(func() { askFor(c, each) })
	}
	asking.Wait()
	for _, w := range workers {
		_ = w.nc.Close()
	}
	working.Wait()
}

// workOn answers jobs with their workload until the connection ends.
func workOn(w *client) {
	request := wire.AppendUnchecked(nil, wire.Request, wire.CanDo, []byte("f"))
	request = wire.AppendUnchecked(request, wire.Request, wire.GrabJob)
	for {
		if _, err := w.nc.Write(request); err != nil {
			return
		}
		p, err := w.r.Next()
		if err != nil {
			return
		}
		switch p.Type { //nolint:exhaustive // what a worker is sent
		case wire.JobAssign:
			request = wire.AppendUnchecked(nil, wire.Request, wire.WorkComplete, p.Arg(0), p.Arg(2))
			request = wire.AppendUnchecked(request, wire.Request, wire.GrabJob)
		case wire.NoJob:
			request = wire.AppendUnchecked(nil, wire.Request, wire.PreSleep)
		default:
			request = wire.AppendUnchecked(nil, wire.Request, wire.GrabJob)
		}
	}
}

// askFor submits n jobs at once and checks that each is answered once.
func askFor(c *client, n int) {
	for i := range n {
		if _, err := c.nc.Write(wire.AppendUnchecked(nil, wire.Request, wire.SubmitJob, []byte("f"), nil, fmt.Append(nil, i))); err != nil {
			c.t.Error(err)
			return
		}
	}
	answers := map[string]bool{}
	for len(answers) < n {
		p, err := c.r.Next()
		if err != nil {
			c.t.Errorf("after %d of %d answers: %v", len(answers), n, err)
			return
		}
		if p.Type != wire.WorkComplete {
			continue
		}
		if answers[string(p.Arg(1))] {
			c.t.Errorf("second answer %q", p.Arg(1))
		}
		answers[string(p.Arg(1))] = true
	}
}
