package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/manager"
)

// servedConfig is the variable that makes the test binary a manager: the path of its
// config. There is one manager at a time in a process, whose reaper collects every
// child; so each test has one in a process of its own, with the race detector if the
// tests have it, and talks to it in lines of JSON.
const servedConfig = "FLEET_TEST_SERVED_CONFIG"

// order is what a test asks of the manager.
type order struct {
	ID       int
	Do       string // a method of the manager
	Function string
	Scalings []manager.Scaling
	Reload   manager.ReloadRequest
}

// reply answers an order, or tells of an event, with no ID.
type reply struct {
	ID       int
	Error    string
	Workers  int
	Snapshot *manager.Snapshot
	Plan     *manager.Plan
	Report   *manager.ReloadReport
	Event    *happened
}

// happened is an event as tests see it.
type happened struct {
	At    time.Time
	Name  string
	About manager.About
	Class string // of an exit
	Text  string
}

// happen describes an event.
func happen(e manager.Event) *happened {
	h := &happened{At: time.Now(), Name: e.Name(), About: e.About(), Text: fmt.Sprintf("%+v", e)}
	if exit, ok := e.(manager.WorkerExited); ok {
		h.Class = exit.Class()
	}
	return h
}

// serveManager runs a manager until its standard input ends.
func serveManager(path string) error {
	cfg, problems := config.Load(path, nil)
	if config.HasErrors(problems) {
		return fmt.Errorf("load config: %v", problems)
	}
	out := &replies{to: json.NewEncoder(os.Stdout)}
	m, err := manager.New(manager.Config{
		Settings: cfg, Self: filepath.Join(os.Getenv(servedBin), "gearman-manager"), KeepState: true,
		Reload:  func(context.Context) (*config.Config, []config.Problem) { return config.Load(path, nil) },
		Logger:  zerolog.New(os.Stderr).With().Timestamp().Logger(),
		OnEvent: func(e manager.Event) { out.send(reply{Event: happen(e)}) },
	})
	if err != nil {
		return err
	}
	if err := m.Start(context.Background()); err != nil {
		return errors.Join(err, m.Stop(context.Background()))
	}
	var asked sync.WaitGroup
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		asked.Go(func() { out.send(carryOut(m, o)) })
	}
	err = m.Stop(context.Background())
	asked.Wait()
	return err
}

// servedBin is the variable with the directory of programs that TestMain has built.
const servedBin = "FLEET_TEST_BIN"

// carryOut does what a test asks for.
func carryOut(m *manager.Manager, o order) reply {
	ctx := context.Background()
	r := reply{ID: o.ID}
	var err error
	switch o.Do {
	case "snapshot":
		s := m.Snapshot()
		r.Snapshot = &s
	case "plan":
		r.Plan = m.Plan()
	case "reload":
		var report manager.ReloadReport
		report, err = m.Reload(ctx, o.Reload)
		r.Report = &report
	case "restart":
		r.Workers, err = m.Restart(ctx, o.Function)
	case "scale":
		err = m.Scale(ctx, o.Scalings)
	case "pause":
		err = m.Pause(ctx, o.Function)
	case "drain":
		err = m.Drain(ctx, o.Function)
	case "resume":
		err = m.Resume(ctx, o.Function)
	default:
		err = errors.New("what is " + o.Do)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// replies are written one at a time.
type replies struct {
	mu sync.Mutex
	to *json.Encoder
}

func (r *replies) send(one reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.to.Encode(one) // the test may have ended
}

// servedManager is a manager in a process of its own.
type servedManager struct {
	tb     testing.TB
	cmd    *exec.Cmd
	in     io.WriteCloser
	exited chan struct{}

	mu      sync.Mutex
	last    int // ID
	waiting map[int]chan reply
	events  []happened
}

// startServed starts a manager with a config; stop stops it.
func (f *fleet) startServed(path string) *servedManager {
	f.tb.Helper()
	self, err := os.Executable()
	if err != nil {
		f.tb.Fatal(err)
	}
	m := &servedManager{tb: f.tb, cmd: exec.Command(self), exited: make(chan struct{}), waiting: map[int]chan reply{}}
	m.cmd.Env = append(os.Environ(), f.id, servedConfig+"="+path, servedBin+"="+bin, "GORACE=atexit_sleep_ms=0")
	m.cmd.Dir, m.cmd.Stderr, m.cmd.WaitDelay = f.dir, f.log, time.Second
	in, err := m.cmd.StdinPipe()
	if err != nil {
		f.tb.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		f.tb.Fatal(err)
	}
	m.in = in
	if err := m.cmd.Start(); err != nil {
		f.tb.Fatal(err)
	}
	f.cmd, f.exited = m.cmd, m.exited
	f.tb.Cleanup(f.cleanup)
	go m.read(out) // ends with the manager
	return m
}

// read takes what the manager says, until it has ended.
func (m *servedManager) read(out io.Reader) {
	defer close(m.exited)
	decoder := json.NewDecoder(out)
	for {
		var r reply
		if err := decoder.Decode(&r); err != nil {
			break // it has ended, or a line of the log says what is wrong
		}
		m.heard(r)
	}
	_ = m.cmd.Wait() // stop looks at it
}

func (m *servedManager) heard(r reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Event != nil {
		m.events = append(m.events, *r.Event)
		return
	}
	m.waiting[r.ID] <- r
	delete(m.waiting, r.ID)
}

// ask sends an order and waits for the reply; ok is false if the manager has ended.
func (m *servedManager) ask(o order) (r reply, ok bool) {
	ch := make(chan reply, 1)
	m.mu.Lock()
	m.last++
	o.ID = m.last
	m.waiting[o.ID] = ch
	line, err := json.Marshal(o)
	if err == nil {
		_, err = m.in.Write(append(line, '\n'))
	}
	m.mu.Unlock()
	if err != nil {
		return reply{}, false
	}
	select {
	case r = <-ch:
		return r, true
	case <-m.exited:
		return reply{}, false
	case <-time.After(testutil.Patience):
		m.tb.Errorf("the manager has not answered %+v after %v", o, testutil.Patience)
		return reply{}, false
	}
}

// must is ask of something that has to be done.
func (m *servedManager) must(o order) reply {
	m.tb.Helper()
	r, ok := m.ask(o)
	if !ok {
		m.tb.Fatalf("the manager has ended and did not answer %+v", o)
	}
	if r.Error != "" {
		m.tb.Fatalf("%s %s: %s", o.Do, o.Function, r.Error)
	}
	return r
}

// snapshot is the fleet as the manager sees it now.
func (m *servedManager) snapshot() manager.Snapshot {
	m.tb.Helper()
	return *m.must(order{Do: "snapshot"}).Snapshot
}

// pool is one of the snapshot.
func (m *servedManager) pool(name string) manager.PoolStatus {
	m.tb.Helper()
	return poolOf(m.snapshot(), name)
}

// poolOf is a pool that performs the function, or has the name; a zero one if there
// is none.
func poolOf(s manager.Snapshot, function string) manager.PoolStatus {
	for _, p := range s.Pools {
		if p.Name == function || slices.Contains(p.Functions, function) {
			return p
		}
	}
	return manager.PoolStatus{}
}

// happenedSince are the events of a kind, or all with an empty name, after a moment.
func (m *servedManager) happenedSince(at time.Time, name string) []happened {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []happened
	for _, e := range m.events {
		if e.At.After(at) && (name == "" || e.Name == name) {
			found = append(found, e)
		}
	}
	return found
}

// crashes are the events of workers that ended other than planned.
func (m *servedManager) crashes() []happened {
	all := m.happenedSince(time.Time{}, "")
	return slices.DeleteFunc(all, func(e happened) bool {
		return e.Name != "internal_error" && (e.Name != "worker_exited" || e.Class == manager.ExitPlanned)
	})
}

// forget drops the events so far.
func (m *servedManager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = nil
}

// stop ends the manager as a planned stop does.
func (m *servedManager) stop() {
	m.tb.Helper()
	_ = m.in.Close() // it may have ended
	testutil.Receive(m.tb, "the end of the manager", m.exited)
	if state := m.cmd.ProcessState; state == nil || !state.Success() {
		m.tb.Errorf("the manager ended with %v", state)
	}
}

// kill ends the manager at once.
func (m *servedManager) kill() {
	m.tb.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		m.tb.Fatal(err)
	}
	testutil.Receive(m.tb, "the end of the manager", m.exited)
}

// problemText is every problem in one text.
func problemText(problems []config.Problem) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}
