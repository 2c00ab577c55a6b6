package php

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// eventBuffer is how many events wait for their reader before the worker has to.
const eventBuffer = 16

// errNotLeft is for a stream of events that ends before Left.
var errNotLeft = errors.New("the connection ended before the worker had left")

// Worker is a PHP worker that runs. Its methods, which are those of host.Worker, may
// be called from any goroutine.
type Worker struct {
	p      *process
	hello  *workerpb.Hello
	events chan *workerpb.Event
	ended  chan struct{} // the stream of events is over
	done   chan struct{}
	err    error // why the stream is over, valid then

	mu    sync.Mutex
	pings uint64                   // how many were sent
	pongs map[uint64]chan struct{} // of those that are not answered
}

// Start starts a worker of the generation and returns when it has said Hello: its process runs and has
// loaded its files. The worker lives on when ctx ends; if that happens before Hello,
// it is killed. After an error nothing of it is left.
//
// Of launch the name, the title (Argv0), Limits, KeepGroup, Request, Output, Dropped and
// Started are used: the interpreter and its environment are the host's, and Started is called
// when the process has introduced itself. The parent that forks has no limits. Starts at the same time are forked one after the
// other.
//
// Errors: *StartError, which holds a *host.ExitError, *host.TimeoutError or
// *host.RefusedError; *supervisor.StartError if there is nothing that could be
// executed; ErrClosed, and what ended ctx.
func (g *Generation) Start(ctx context.Context, launch host.Launch) (*Worker, error) {
	s := &spawn{
		name: launch.Name, title: launch.Argv0, output: sink{launch.Output, launch.Dropped}, started: launch.Started,
		limits: launch.Limits, keepGroup: launch.KeepGroup,
	}
	if s.title == "" {
		s.title = "gearman-manager: " + s.name
	}
	p, err := g.open(ctx, s)
	if err != nil {
		return nil, err
	}
	h := g.h
	req := &workerpb.RunRequest{}
	if launch.Request != nil {
		req = launch.Request()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.InitTimeout, errSlow)
	defer cancel()
	stop := context.AfterFunc(ctx, p.abort)
	fast := h.watchSlow(Slow{Name: launch.Name, Path: onlyFile(req)})
	hello, err := p.run(req)
	fast()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, p.explain(ctx, err, h.cfg.InitTimeout, "hello")
	}
	w := &Worker{
		p: p, hello: hello, pongs: map[uint64]chan struct{}{},
		events: make(chan *workerpb.Event, eventBuffer), ended: make(chan struct{}), done: make(chan struct{}),
	}
	go w.pump()
	go w.watch()
	return w, nil
}

// onlyFile is the file that a worker loads, if it is one.
func onlyFile(req *workerpb.RunRequest) string {
	path := ""
	for _, f := range req.GetFunctions() {
		file := f.GetSource().GetFile()
		if path != "" && file != path {
			return ""
		}
		path = file
	}
	return path
}

// run tells the process what it is to perform, and waits for Hello.
func (p *process) run(req *workerpb.RunRequest) (*workerpb.Hello, error) {
	line, err := encodeProto("run", req)
	if err != nil {
		return nil, err
	}
	if err := p.conn.send(line); err != nil {
		return nil, err
	}
	if line, err = p.conn.in.next(); err != nil {
		return nil, err
	}
	msg, err := decodeMessage(line)
	switch {
	case err != nil:
		return nil, err
	case msg.Refused != nil:
		return nil, refusal(*msg.Refused)
	case msg.Event == nil:
		return nil, &ProtocolError{Line: quote.Line(string(line)), Reason: "it does not say hello"}
	}
	ev, err := msg.event()
	if err != nil {
		return nil, err
	}
	return checkHello(ev)
}

func checkHello(ev *workerpb.Event) (*workerpb.Hello, error) {
	hello := ev.GetHello()
	if hello == nil {
		return nil, &ProtocolError{Reason: fmt.Sprintf("its first event is %T, want Hello", ev.GetEvent())}
	}
	if version := hello.GetDescription().GetContract(); version != plugins.ContractVersion {
		return nil, &ProtocolError{Reason: fmt.Sprintf("it speaks version %d of the worker contract, this manager version %d", version, plugins.ContractVersion)}
	}
	return hello, nil
}

// pump hands over the events. It ends after Left, or with the connection, if the
// events are read.
func (w *Worker) pump() {
	defer close(w.events)
	defer close(w.ended)
	for {
		ev, err := w.next()
		if err != nil {
			w.err = fmt.Errorf("read events of %s: %w", w.Name(), err)
			return
		}
		if ev == nil {
			continue
		}
		w.events <- ev
		if ev.GetLeft() != nil {
			return
		}
	}
}

// next is the next event, or nil if the worker said something else.
func (w *Worker) next() (*workerpb.Event, error) {
	line, err := w.p.conn.in.next()
	if broke(err) {
		return nil, errNotLeft
	}
	if err != nil {
		w.p.conn.close() // what follows would not be understood either
		return nil, err
	}
	msg, err := decodeMessage(line)
	if err != nil {
		w.p.conn.close() // as above
		return nil, err
	}
	if msg.Pong != nil {
		w.answered(*msg.Pong)
	}
	if msg.Event == nil {
		return nil, nil
	}
	ev, err := msg.event()
	if err != nil {
		w.p.conn.close() // as above
	}
	return ev, err
}

// watch lets go of a process that has ended.
func (w *Worker) watch() {
	defer close(w.done)
	<-w.p.done
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
	}
	w.p.conn.close()
}

// Name is the worker's name, "pool/number".
func (w *Worker) Name() string { return w.p.name }

// PID is the number of the process.
func (w *Worker) PID() int { return w.p.proc.PID() }

// Process is the process, for its start time. It is killed by Kill.
func (w *Worker) Process() *supervisor.Process { return w.p.proc }

// Hello is what the worker said first. It does not come again as an event.
func (w *Worker) Hello() *workerpb.Hello { return w.hello }

// Events gives what the worker tells after Hello. It is closed after Left, or when
// the connection is over, and has to be read until then: a worker whose events nobody
// reads waits.
func (w *Worker) Events() <-chan *workerpb.Event { return w.events }

// Err says why the stream of events is over: nil after Left. It is valid once Events
// is closed.
func (w *Worker) Err() error {
	select {
	case <-w.ended:
		return w.err
	default:
		return nil
	}
}

// Done is closed when the process has ended, all that it printed has been given to
// Output, and its connection and its FIFOs are gone.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Exit is how the process ended. It is valid once Done is closed.
func (w *Worker) Exit() supervisor.Exit { return w.p.proc.Exit() }

// Tail is the last lines of the worker's standard error, oldest first.
func (w *Worker) Tail() []string { return w.p.out.tail() }

// LastLines is the last lines that the worker printed to either stream, in the order in
// which they came.
func (w *Worker) LastLines() []string { return w.p.out.lastLines() }

// Release ends what the worker reads. One that has left ends at once; one that works
// finishes its job in hand and then leaves, as if the manager had died. Release may
// be called again.
func (w *Worker) Release() { w.p.conn.finish() }

// Kill sends SIGKILL to the worker's process group. It does not wait; see Done. A
// worker that has ended is no error.
func (w *Worker) Kill() error { return w.p.proc.Kill() }
