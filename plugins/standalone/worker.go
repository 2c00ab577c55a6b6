package standalone

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// mostEvents is how many events a worker may have: Retiring and Left. They need no
// reader to go on.
const mostEvents = 2

// Worker is a worker process that runs. Its methods, which are those of host.Worker,
// may be called from any goroutine, and none of them blocks.
type Worker struct {
	host   *Host
	name   string
	path   string
	proc   *supervisor.Process
	out    *outputs
	hello  *workerpb.Hello
	events chan *workerpb.Event
	ended  chan struct{} // no event comes any more
	done   chan struct{}
	err    error // why it ended without having left, valid then

	mu       sync.Mutex
	lifetime time.Duration // 0: no limit
	memory   uint64        // bytes; 0: no limit
	age      *time.Timer   // of the lifetime; nil: none
	retired  bool          // it was said to retire
	stopped  bool          // it got the stop signal
	over     bool          // it has ended
}

// follow tells of the end of the process, and cleans up after it. It ends with it.
func (w *Worker) follow() {
	<-w.proc.Done()
	if w.hasLeft() {
		w.events <- &workerpb.Event{Event: &workerpb.Event_Left{Left: &workerpb.Left{}}}
	} else {
		w.err = fmt.Errorf("worker %s %s", w.name, ended(w.proc.Exit()))
	}
	close(w.ended)
	close(w.events)
	w.out.close()
	close(w.done)
}

// hasLeft notes the end, and tells whether it was one that the worker chose: with
// status 0, or after the stop signal, whatever its status is then.
func (w *Worker) hasLeft() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.age != nil {
		w.age.Stop()
	}
	exit := w.proc.Exit()
	return exit.Success() || w.stopped && exit.Signal != syscall.SIGKILL
}

// Name is the worker's name, "pool/number".
func (w *Worker) Name() string { return w.name }

// PID is the number of the process.
func (w *Worker) PID() int { return w.proc.PID() }

// Process is the process, for its start time. It is killed by Kill.
func (w *Worker) Process() *supervisor.Process { return w.proc }

// Hello names the functions that the worker was asked to perform. It is made up here:
// nobody knows what the program registers.
func (w *Worker) Hello() *workerpb.Hello { return w.hello }

// Events gives Retiring, once at most, then Left, and is closed when the process has
// ended. Left comes if it ended with status 0, or after the stop signal and not by
// SIGKILL; its counters are nil, which is unknown. Nothing waits for a reader.
func (w *Worker) Events() <-chan *workerpb.Event { return w.events }

// Err says how the process ended if that was without Left, and is nil otherwise. It
// is valid once Events is closed.
func (w *Worker) Err() error {
	select {
	case <-w.ended:
		return w.err
	default:
		return nil
	}
}

// Done is closed when the process has ended and all that it printed has been given to
// Output.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Exit is how the process ended. It is valid once Done is closed.
func (w *Worker) Exit() supervisor.Exit { return w.proc.Exit() }

// Tail is the last lines of the worker's standard error, oldest first, or of its
// standard output if nothing came by the other.
func (w *Worker) Tail() []string { return w.out.tail() }

// LastLines is the last lines that the worker printed, up to supervisor.DefaultKeep of
// its standard output and as many of its standard error, in the order in which they
// came: also those that Output was not called for.
func (w *Worker) LastLines() []string { return supervisor.LastLines(w.out.stdout, w.out.stderr) }

// Release does what the death of this process would do: a worker that lives gets the
// stop signal, unless it has had it. One that has left has ended already.
func (w *Worker) Release() { _ = w.stop() } // there is nobody to tell, and Kill comes after it

// Kill sends SIGKILL to the worker's process group, or to the process alone if
// KeepGroup was said. It does not wait; see Done. A worker that has ended is no error.
func (w *Worker) Kill() error { return w.proc.Kill() }
