package php_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// bridge is a php that runs the bridge as a worker, and the manager's end of its
// socket, which the test holds.
type bridge struct {
	conn   *net.UnixConn
	cmd    *exec.Cmd
	lines  chan bridgeLine
	events []*workerpb.Event // taken from lines so far
	stderr testutil.Buffer
	stdout testutil.Buffer
	exited chan struct{}
	state  *os.ProcessState // when exited is closed
	noisy  bool             // may print to stderr
	hello  *workerpb.Hello
}

// bridgeLine is what the bridge says in one line.
type bridgeLine struct {
	event   *workerpb.Event
	refused *string
	pong    *uint64
	err     error
}

const (
	clientID   = "web1/jobs/1"
	workerName = "jobs/1"
)

// bridgeOption changes the request, or the arguments of php.
type bridgeOption func(*workerpb.RunRequest, *[]string)

// performing makes a worker of these functions of testdata/bridge/jobs.php.
func performing(names ...string) bridgeOption {
	return func(req *workerpb.RunRequest, _ *[]string) { req.Functions = jobs(names...) }
}

// jobs are functions of testdata/bridge/jobs.php, numbered from 1.
func jobs(names ...string) []*workerpb.Function {
	path, err := filepath.Abs("testdata/bridge/jobs.php")
	if err != nil {
		panic(err) // there is no working directory
	}
	var all []*workerpb.Function
	for i, name := range names {
		all = append(all, &workerpb.Function{
			Name: name, Index: uint32(i + 1), Source: &workerpb.Source{File: path, Symbol: name},
		})
	}
	return all
}

// at gives the worker these job servers, numbered from 1.
func at(addrs ...string) bridgeOption {
	return func(req *workerpb.RunRequest, _ *[]string) { req.Servers = servers(addrs...) }
}

func servers(addrs ...string) []*workerpb.Server {
	var all []*workerpb.Server
	for i, addr := range addrs {
		all = append(all, &workerpb.Server{Address: addr, Index: uint32(i + 1)})
	}
	return all
}

// with changes the request.
func with(change func(*workerpb.RunRequest)) bridgeOption {
	return func(req *workerpb.RunRequest, _ *[]string) { change(req) }
}

// set gives php a setting.
func set(setting string) bridgeOption {
	return func(_ *workerpb.RunRequest, args *[]string) { *args = append(*args, "-d", setting) }
}

// startBridge starts a worker, which performs reverse unless an option says
// otherwise, and waits for its hello.
func startBridge(t *testing.T, options ...bridgeOption) *bridge {
	t.Helper()
	req := &workerpb.RunRequest{
		Contract: 1, Worker: workerName, Functions: jobs("reverse"),
		Slots: []*workerpb.Slot{{ClientId: clientID}},
	}
	args := php.EngineArgs()
	for _, o := range options {
		o(req, &args)
	}
	b := launchBridge(t, args)
	b.tell(t, "run", req)
	b.hello = await[*workerpb.Event_Hello](t, b).Hello
	return b
}

// launchBridge starts php and takes its introduction.
func launchBridge(t *testing.T, args []string) *bridge {
	t.Helper()
	path := testutil.Need(t, "php", "php-cli")
	dir, err := os.MkdirTemp("", "bridge") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	b := &bridge{lines: make(chan bridgeLine, 1<<16), exited: make(chan struct{})}
	b.cmd = exec.Command(path, slices.Concat(args, []string{"bridge.php", "worker", socket, "17"})...)
	b.cmd.Stdout, b.cmd.Stderr = &b.stdout, &b.stderr
	b.cmd.WaitDelay = testutil.Patience
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with php
		defer close(b.exited)
		_ = b.cmd.Wait() // the state says more
		b.state = b.cmd.ProcessState
	}()
	t.Cleanup(func() { b.end(t) })
	if err := l.SetDeadline(time.Now().Add(testutil.Patience)); err != nil {
		t.Fatal(err)
	}
	if b.conn, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	b.introduce(t)
	return b
}

// introduce takes the first line, and reads the others from then on.
func (b *bridge) introduce(t *testing.T) {
	t.Helper()
	in := bufio.NewReader(b.conn)
	if err := b.conn.SetReadDeadline(time.Now().Add(testutil.Patience)); err != nil {
		t.Fatal(err)
	}
	first, err := in.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var who struct {
		ID  string
		PID int
	}
	if err := json.Unmarshal(first, &who); err != nil || who.ID != "17" || who.PID != b.cmd.Process.Pid {
		t.Fatalf("introduction: %s (%v), process is %d", first, err, b.cmd.Process.Pid)
	}
	if err := b.conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(b.lines)
		for {
			text, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			b.lines <- parse(text)
		}
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { _ = b.conn.Close() })
}

func parse(text []byte) bridgeLine {
	var raw struct {
		Event   json.RawMessage
		Refused *string
		Pong    *uint64
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return bridgeLine{err: err}
	}
	line := bridgeLine{refused: raw.Refused, pong: raw.Pong}
	if raw.Event != nil {
		line.event = &workerpb.Event{}
		line.err = protojson.Unmarshal(raw.Event, line.event)
	}
	return line
}

// end kills php, if it has not gone, and looks at what it printed. It would go by itself,
// but waits up to 5 s for a server that owes it an answer; other tests look at that.
func (b *bridge) end(t *testing.T) {
	t.Helper()
	_ = b.cmd.Process.Kill() // it may be gone already
	testutil.Receive(t, "the end of php", b.exited)
	if b.conn != nil {
		_ = b.conn.Close()
	}
	if s := b.stderr.String(); s != "" && (!b.noisy || t.Failed()) {
		t.Errorf("php said: %s", s)
	}
	if t.Failed() {
		for _, ev := range b.events {
			t.Logf("event: %v", ev)
		}
		b.logUnread(t)
		t.Logf("printed: %s", b.stdout.String())
	}
}

// logUnread logs what the bridge said and nobody has taken.
func (b *bridge) logUnread(t *testing.T) {
	t.Helper()
	for {
		select {
		case line, ok := <-b.lines:
			if !ok {
				return
			}
			t.Logf("not taken: %v", line)
		default:
			return
		}
	}
}

// String is for the log.
func (l bridgeLine) String() string {
	switch {
	case l.refused != nil:
		return "refused: " + *l.refused
	case l.pong != nil:
		return "pong"
	case l.err != nil:
		return l.err.Error()
	}
	return l.event.String()
}

// tell sends a line.
func (b *bridge) tell(t *testing.T, key string, value proto.Message) {
	t.Helper()
	line, err := php.Line(key, value)
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, string(line))
}

// write sends bytes.
func (b *bridge) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(b.conn, text); err != nil {
		t.Fatal(err)
	}
}

// sync returns when the bridge has heard everything that was told, which it does
// unless it performs a job. Events that come before are kept for await.
func (b *bridge) sync(t *testing.T) {
	t.Helper()
	b.write(t, `{"ping":77}`+"\n")
	late := time.After(testutil.Patience)
	for {
		select {
		case line, ok := <-b.lines:
			if !ok {
				t.Fatal("no pong but the end")
			}
			if line.pong != nil {
				return
			}
			b.keep(t, line)
		case <-late:
			t.Fatal("no pong")
		}
	}
}

func (b *bridge) keep(t *testing.T, line bridgeLine) *workerpb.Event {
	t.Helper()
	switch {
	case line.err != nil:
		t.Fatalf("a line of the bridge: %v", line.err)
	case line.refused != nil:
		t.Fatalf("refused: %s", *line.refused)
	case line.event != nil:
		b.events = append(b.events, line.event)
	}
	return line.event
}

// await takes events until one is an E.
func await[E any](t *testing.T, b *bridge) E {
	t.Helper()
	late := time.After(testutil.Patience)
	for {
		select {
		case line, ok := <-b.lines:
			if !ok {
				t.Fatalf("the end, want a %T", *new(E))
			}
			if ev := b.keep(t, line); ev != nil {
				if e, ok := any(ev.GetEvent()).(E); ok {
					return e
				}
			}
		case <-late:
			t.Fatalf("no %T", *new(E))
		}
	}
}

// events are those of a kind that have been taken so far.
func taken[E any](b *bridge) []E {
	var all []E
	for _, ev := range b.events {
		if e, ok := any(ev.GetEvent()).(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// leaves waits until the worker has left, lets it go, and checks the counters and
// that php ends well.
func (b *bridge) leaves(t *testing.T, done, failed uint64) {
	t.Helper()
	c := await[*workerpb.Event_Left](t, b).Left.GetCounters()
	if c.GetDone() != done || c.GetFailed() != failed {
		t.Errorf("left with %d done and %d failed, want %d and %d", c.GetDone(), c.GetFailed(), done, failed)
	}
	_ = b.conn.CloseWrite()
	b.exits(t, 0)
}

// exits waits for the end of php.
func (b *bridge) exits(t *testing.T, code int) {
	t.Helper()
	testutil.Receive(t, "the end of php", b.exited)
	if b.state != nil && b.state.ExitCode() != code {
		t.Errorf("php ended with %v, want %d", b.state, code)
	}
}

func (b *bridge) drain(t *testing.T) {
	t.Helper()
	b.tell(t, "drain", &workerpb.DrainRequest{Reason: "test"})
}

// steps joins steps and lists of them.
func steps(parts ...any) []geartest.Step {
	var all []geartest.Step
	for _, p := range parts {
		switch p := p.(type) {
		case geartest.Step:
			all = append(all, p)
		case []geartest.Step:
			all = append(all, p...)
		default:
			panic("no step")
		}
	}
	return all
}

// speaks scripts a connection.
func speaks(parts ...any) geartest.Script { return geartest.Conn(steps(parts...)...) }

const echoed = "gearman-manager"

// Steps that most scripts need.
var (
	asks   = geartest.Expect(wire.GrabJobUniq)
	noJob  = geartest.Send(wire.NoJob)
	sleeps = geartest.Expect(wire.PreSleep)
	wakes  = geartest.Send(wire.Noop)
	closes = geartest.ExpectClose()
	rests  = geartest.NeverAnswer()
	idles  = steps(asks, noJob, sleeps)
)

// registers are the packets of a new connection, with functions in the order in
// which they are sent.
func registers(functions ...string) []geartest.Step {
	all := steps(geartest.Expect(wire.SetClientID, clientID))
	for _, f := range functions {
		all = append(all, geartest.Expect(wire.CanDo, f))
	}
	return steps(all, geartest.Expect(wire.EchoReq, echoed), geartest.Send(wire.EchoRes, echoed))
}

func assigns(handle, function, workload string) geartest.Step {
	return geartest.Send(wire.JobAssignUniq, handle, function, "u", workload)
}

// completes is an answer that comes in one write with the next question.
func completes(handle, result string) geartest.Step {
	return geartest.ExpectInOneRead(geartest.Req(wire.WorkComplete, handle, result), geartest.Req(wire.GrabJobUniq))
}

// completesAlone is an answer without a question.
func completesAlone(handle, result string) geartest.Step {
	return geartest.Expect(wire.WorkComplete, handle, result)
}

// excepts is an exception whose text holds some words, and the next question.
func excepts(t *testing.T, handle string, words ...string) []geartest.Step {
	t.Helper()
	return steps(exceptsAlone(t, handle, words...), asks)
}

func exceptsAlone(t *testing.T, handle string, words ...string) geartest.Step {
	t.Helper()
	return geartest.ExpectFunc(wire.WorkException, func(p wire.Packet) error {
		if string(p.Arg(0)) != handle {
			t.Errorf("exception of %s, want %s", p.Arg(0), handle)
		}
		for _, w := range words {
			if !strings.Contains(string(p.Arg(1)), w) {
				t.Errorf("exception of %s: %s\nwant in it: %s", handle, p.Arg(1), w)
			}
		}
		return nil
	})
}

// began is the first packet of the jobs that say so.
func began(handle string) geartest.Step {
	return geartest.Expect(wire.WorkStatus, handle, "1", "2")
}

// moment is when a script has come to a point at which it waits for the test.
type moment struct{ came, goOn chan struct{} }

func newMoment() moment { return moment{make(chan struct{}), make(chan struct{})} }

func (m moment) steps() []geartest.Step {
	return steps(geartest.Signal(m.came), geartest.Wait(m.goOn))
}

// then lets the script go on after f.
func (m moment) then(t *testing.T, f func()) {
	t.Helper()
	testutil.Receive(t, "the script", m.came)
	f()
	close(m.goOn)
}

// gateFile is the workload of gate, and what opens it.
func gateFile(t *testing.T) (path string, open func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gate")
	return path, func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

func contains(text, words string) bool { return strings.Contains(text, words) }

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// dataFile is a file of testdata/bridge.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata/bridge", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
