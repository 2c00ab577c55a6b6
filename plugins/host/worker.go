package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// eventBuffer is how many events wait for their reader before the worker has to.
const eventBuffer = 16

// lastWords is for how long the events of a process that has ended are still
// read. They lie in the socket and are there at once, unless a descendant of the
// worker holds it open.
const lastWords = time.Second

// Worker is a worker process that runs. Its methods may be called from any
// goroutine.
type Worker struct {
	c      *connection
	hello  *workerpb.Hello
	events chan *workerpb.Event
	ended  chan struct{} // the stream of events is over
	done   chan struct{}
	err    error // why the stream is over, valid then
}

// Start starts a worker and returns when it has said Hello: its program runs, has
// shaken hands and finished its Init. The worker lives on when ctx ends; if that
// happens before Hello, it is killed. After an error nothing of it is left.
//
// Errors: *supervisor.StartError if there is nothing that could be executed, or a
// limit that could not be set (it wraps a *supervisor.LimitError then),
// *HandshakeError, *VersionError, *ExitError, *TimeoutError, *RefusedError, and
// what ended ctx.
func (h *Host) Start(ctx context.Context, launch Launch) (*Worker, error) {
	c, err := h.connect(ctx, &launch)
	if err != nil {
		return nil, err
	}
	runCtx, end := context.WithCancel(context.WithoutCancel(ctx)) // the stream outlives the start
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.InitTimeout, errSlow)
	defer cancel()
	stop := context.AfterFunc(ctx, c.abort)
	stream, hello, err := c.run(runCtx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		err = c.explain(ctx, err, h.cfg.InitTimeout, "hello")
		end()
		_ = c.conn.Close() // only says that it was closed before
		return nil, err
	}
	w := &Worker{
		c: c, hello: hello,
		events: make(chan *workerpb.Event, eventBuffer), ended: make(chan struct{}), done: make(chan struct{}),
	}
	go w.pump(stream)
	go w.watch(end)
	return w, nil
}

// run calls Run and waits for Hello.
func (c *connection) run(ctx context.Context) (grpc.ServerStreamingClient[workerpb.Event], *workerpb.Hello, error) {
	// Again: the runtime of a program may have raised one just when it was set.
	if err := c.proc.SetLimits(c.launch.Limits); err != nil {
		return nil, nil, err
	}
	req := &workerpb.RunRequest{}
	if c.launch.Request != nil {
		req = c.launch.Request()
	}
	stream, err := c.client.Run(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, nil, errors.New("it ended the stream of events before Hello")
	}
	if err != nil {
		return nil, nil, err
	}
	hello := first.GetHello()
	if hello == nil {
		return nil, nil, fmt.Errorf("its first event is %T, want Hello", first.GetEvent())
	}
	if err := checkContract(c.launch.program(), hello.GetDescription()); err != nil {
		return nil, nil, err
	}
	return stream, hello, nil
}

// pump hands over the events. It ends with the stream, if the events are read.
func (w *Worker) pump(stream grpc.ServerStreamingClient[workerpb.Event]) {
	defer close(w.events)
	defer close(w.ended)
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.err = fmt.Errorf("read events of %s: %s", w.Name(), status.Convert(err).Message())
			return
		}
		w.events <- event
	}
}

// watch lets go of a process that has ended.
func (w *Worker) watch(end context.CancelFunc) {
	defer close(w.done)
	defer end()
	<-w.c.done
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
	}
	_ = w.c.conn.Close() // only says that it was closed before
}

// Name is the worker's name, "pool/number".
func (w *Worker) Name() string { return w.c.launch.Name }

// PID is the number of the process.
func (w *Worker) PID() int { return w.c.proc.PID() }

// Process is the process, for its start time. It is killed by Kill.
func (w *Worker) Process() *supervisor.Process { return w.c.proc }

// Hello is what the worker said first. It does not come again as an event.
func (w *Worker) Hello() *workerpb.Hello { return w.hello }

// Events gives what the worker tells after Hello. It is closed when the stream is
// over, and has to be read until then: a worker whose events nobody reads waits.
func (w *Worker) Events() <-chan *workerpb.Event { return w.events }

// Err says why the stream of events is over: nil if the worker ended it, as it
// does after Left. It is valid once Events is closed.
func (w *Worker) Err() error {
	select {
	case <-w.ended:
		return w.err
	default:
		return nil
	}
}

// Done is closed when the process has ended, all that it printed has been given
// to Output, and its connection and its socket are gone.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Exit is how the process ended. It is valid once Done is closed.
func (w *Worker) Exit() supervisor.Exit { return w.c.proc.Exit() }

// Tail is the last lines of the worker's standard error, oldest first.
func (w *Worker) Tail() []string { return w.c.tail() }

// LastLines is the last lines that the worker printed, up to
// supervisor.DefaultKeep of its standard output and as many of its standard error,
// in the order in which they came: also those that Output was not called for.
func (w *Worker) LastLines() []string { return supervisor.LastLines(w.c.stdout, w.c.stderr) }

// Release closes the worker's standard input. A worker that has left ends at
// once; one that works finishes its job in hand and then leaves, as if the manager
// had died. Release may be called again.
func (w *Worker) Release() { _ = w.c.stdin.Close() } // closed is closed

// Kill sends SIGKILL to the worker's process group. It does not wait; see Done. A
// worker that has ended is no error.
func (w *Worker) Kill() error { return w.c.proc.Kill() }
