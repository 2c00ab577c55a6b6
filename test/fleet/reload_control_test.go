package fleet

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// startControlled starts the program with a control socket at a path that it returns,
// and lines of a config.
func (f *reloadFleet) startControlled(ini string) (socket string) {
	f.tb.Helper()
	socket = filepath.Join(f.runtime, "socket")
	f.configure("[GearmanManager]\nhost = SERVER\nworker_dir = DIR/workers\nstate_dir = DIR/state\nruntime_dir = RUNTIME\nmax_worker_lifetime = 0\ncontrol_socket = " + socket + "\n" + ini)
	f.runProgram()
	return socket
}

// TestStatusOfManyWorkers measures how long the control socket takes to describe a
// large fleet. 50 ms are wanted; on a machine that does other things too ten times that
// are allowed.
func TestStatusOfManyWorkers(t *testing.T) {
	const workers = 500
	f := newReload(t)
	f.put("script.php", "v1")
	socket := f.startControlled(fmt.Sprintf("[script]\ndedicated_only = 1\ndedicated_count = %d\n", workers))
	f.waitRegistered(map[string]int{"script": workers})
	client := control.NewClient(socket)
	var took []time.Duration
	for range 40 {
		began := time.Now()
		s, err := client.Status(f.ctx())
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		if len(s.Pools) != 1 || len(s.Pools[0].Workers) != workers {
			t.Fatalf("the status does not show one pool of %d workers", workers)
		}
	}
	slices.Sort(took)
	t.Logf("status of %d workers: median %v, longest %v", workers, took[len(took)/2], took[len(took)-1])
	if median := took[len(took)/2]; median > 500*time.Millisecond {
		t.Errorf("the status of %d workers takes %v, want 50 ms and at most ten times that", workers, median)
	}
	f.stopPHP()
}

// TestControlSocketUnderAttack holds connections to the control socket open, floods it
// and feeds it garbage: jobs and a polite client do not notice.
func TestControlSocketUnderAttack(t *testing.T) {
	t.Parallel()
	f := newReload(t)
	f.putThree(f.workers, "v1")
	socket := f.startControlled("[plug]\ndedicated_only = 1\ndedicated_count = 2\n")
	f.waitRegistered(map[string]int{"plug": 2})
	f.load("plug", 2, 0.005)
	f.record()

	f.seen.mark()
	testutil.Pause(t, 3)
	calm := f.loadOf("plug").quantile(f.seen.marked, 0.99)
	began := f.seen.mark()
	attack := newAttack(t, socket)
	client := control.NewClient(socket)
	var polite []time.Duration
	refused := 0
	for time.Since(began) < 5*time.Second {
		asked := time.Now()
		if _, err := client.Status(f.ctx()); err != nil {
			refused++
			continue
		}
		polite = append(polite, time.Since(asked))
	}
	attack.end()
	if len(polite) < 10 || refused*20 > len(polite) {
		t.Fatalf("a polite client had %d answers and was refused %d times, want nearly none", len(polite), refused)
	}
	slices.Sort(polite)
	under := f.loadOf("plug").quantile(began, 0.99)
	t.Logf("p99 of jobs: %v before, %v beside %d attacks; a polite client had %d answers, the slowest after %v, and was refused %d times",
		calm, under, attack.done.Load(), len(polite), polite[len(polite)-1], refused)
	if slowest := polite[len(polite)-1]; slowest > 3*time.Second {
		t.Errorf("a polite client waited %v for an answer", slowest)
	}
	if under > 2*time.Second {
		t.Errorf("the 99th percentile of jobs is %v beside an attack, was %v", under, calm)
	}
	f.seen.wantNeverBelow("plug", 2)
	f.endLoads()
	f.seen.stop()
	f.wantOnce()
	if _, err := client.Status(f.ctx()); err != nil {
		t.Errorf("after the attack: %v", err)
	}
	f.stopPHP()
}

// quantile is that of the times of jobs answered since a moment.
func (l *load) quantile(since time.Time, q float64) time.Duration {
	var took []time.Duration
	for _, a := range l.answers() {
		if a.at.After(since) {
			took = append(took, a.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(q*float64(len(took)-1))]
}

// attack is what disturbs a control socket.
type attack struct {
	socket string
	over   chan struct{}
	ended  sync.WaitGroup
	done   atomic.Int64
}

// newAttack begins it.
func newAttack(tb testing.TB, socket string) *attack {
	tb.Helper()
	a := &attack{socket: socket, over: make(chan struct{})}
	tb.Cleanup(a.end)
	for range 20 {
		a.ended.Go(a.hold)
	}
	for range 2 {
		a.ended.Go(func() { a.again(a.ask) })
		a.ended.Go(func() { a.again(a.garbage) })
	}
	return a
}

// end may be called again.
func (a *attack) end() {
	select {
	case <-a.over:
	default:
		close(a.over)
	}
	a.ended.Wait()
}

// hold keeps a connection open with half a request.
func (a *attack) hold() {
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // the attack is over
	_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: m")
	<-a.over
}

// again does something until the end.
func (a *attack) again(do func()) {
	for {
		select {
		case <-a.over:
			return
		default:
			do()
			a.done.Add(1)
		}
	}
}

// ask asks for everything and reads nothing of it.
func (a *attack) ask() {
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		return
	}
	for range 10 {
		_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: manager\r\n\r\n")
	}
	_ = conn.Close() // it wants no answer
}

// garbage sends what is no request, or almost one.
func (a *attack) garbage() {
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // nothing is read
	switch rand.IntN(4) {
	case 0:
		noise := make([]byte, 4096)
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		_, _ = conn.Write(noise)
	case 1:
		_, _ = io.WriteString(conn, "POST /v1/reload HTTP/1.1\r\nHost: m\r\nContent-Length: 999999999\r\n\r\n{{{{")
	case 2:
		_, _ = io.WriteString(conn, "POST /v1/quarantine/release HTTP/1.1\r\nHost: m\r\nContent-Length: 4\r\n\r\n]]]]")
	case 3:
		_, _ = io.WriteString(conn, "GET /"+string(make([]byte, 70000))+" HTTP/1.1\r\n\r\n")
	}
}
