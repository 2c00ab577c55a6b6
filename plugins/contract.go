package plugins

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// contract serves the manager's calls.
type contract struct {
	workerpb.UnimplementedWorkerServer
	def       *definition
	gone      <-chan struct{} // closed when the manager is gone
	exit      func(code int)
	giveBack  func() // gives standard output and error back to the author's code
	outputs   sync.Once
	started   atomic.Bool
	performer atomic.Pointer[performer]
}

// flushTime is how long the last events of a process that ends without having
// been let go may take to reach the manager.
const flushTime = 30 * time.Millisecond

// leftTimeout is how long a worker that has left waits to be let go.
const leftTimeout = 2 * time.Second

// Describe tells what the program performs.
func (c *contract) Describe(context.Context, *workerpb.DescribeRequest) (*workerpb.Description, error) {
	c.outputs.Do(c.giveBack)
	return c.description(), nil
}

// description is what Describe answers.
func (c *contract) description() *workerpb.Description {
	return &workerpb.Description{
		Contract: ContractVersion, Version: c.def.version, Functions: c.def.names, Any: c.def.any != nil,
	}
}

// Run starts the work and reports it until it is over.
func (c *contract) Run(req *workerpb.RunRequest, stream workerpb.Worker_RunServer) error {
	c.outputs.Do(c.giveBack)
	if req.GetContract() != ContractVersion {
		return status.Errorf(codes.FailedPrecondition,
			"the manager speaks version %d of the worker contract, this worker was built with version %d", req.GetContract(), ContractVersion)
	}
	if !c.started.CompareAndSwap(false, true) {
		return status.Error(codes.AlreadyExists, "run was called before")
	}
	if err := c.def.runInit(stream.Context()); err != nil {
		return status.Error(codes.Aborted, err.Error())
	}
	p, err := newPerformer(c.def, req, c.gone, c.exitStuck)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	c.performer.Store(p)
	p.events.put(c.hello())
	var running sync.WaitGroup
	running.Go(func() { p.run(context.WithoutCancel(stream.Context())) }) // jobs are finished even if the manager is gone
	c.report(p, stream)
	running.Wait()
	go c.leave()
	return nil
}

// hello is the first event.
func (c *contract) hello() *workerpb.Event {
	pid := uint32(os.Getpid()) //nolint:gosec // a process id
	return &workerpb.Event{Event: &workerpb.Event_Hello{Hello: &workerpb.Hello{Pid: pid, Description: c.description()}}}
}

// report sends events until the last one, or until nobody listens any more,
// which means that the manager is gone.
func (c *contract) report(p *performer, stream workerpb.Worker_RunServer) {
	for {
		events, closed := p.events.take()
		for _, e := range events {
			if stream.Send(e) != nil {
				p.retire("manager gone", "")
				return
			}
		}
		if closed {
			return
		}
		select {
		case <-p.events.wake:
		case <-stream.Context().Done():
			p.retire("manager gone", "")
			return
		}
	}
}

// leave ends the process once the manager lets it go. One that was let go
// before it had left still gives its last events time to go out.
func (c *contract) leave() {
	wait := time.NewTimer(leftTimeout)
	defer wait.Stop()
	select {
	case <-c.gone:
		wait.Reset(flushTime)
		<-wait.C
	default:
		select {
		case <-c.gone:
		case <-wait.C:
		}
	}
	c.exit(0)
}

// exitStuck ends the process although a handler still runs, so that its job
// goes back to the queue.
func (c *contract) exitStuck() {
	time.AfterFunc(flushTime, func() { c.exit(1) })
}

// running returns the performer, or an error if Run has not been called.
func (c *contract) running() (*performer, error) {
	if p := c.performer.Load(); p != nil {
		return p, nil
	}
	return nil, status.Error(codes.FailedPrecondition, "run has not been called")
}

// do makes a call on the performer one with an answer.
func (c *contract) do(f func(p *performer) error) (*workerpb.Done, error) {
	p, err := c.running()
	if err != nil {
		return nil, err
	}
	if err := f(p); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &workerpb.Done{}, nil
}

// Go lowers the hold, for all slots or the first ones.
func (c *contract) Go(_ context.Context, req *workerpb.GoRequest) (*workerpb.Done, error) {
	return c.do(func(p *performer) error {
		p.worker.Go(holdOf(req.GetHold()), int(req.GetSlots()))
		return nil
	})
}

// Set replaces settings while jobs go on, all of them or, after an error, none. They
// count from each slot's next job on; one that is in hand ends under those it began
// under, also if its function, its server or its slot is not wanted any more. A limit
// that the worker is over already makes it retire at once, with its jobs in hand; runs
// and age count from its start. A slot that is not wanted any more says Rested when it
// has left.
func (c *contract) Set(_ context.Context, req *workerpb.Settings) (*workerpb.Done, error) {
	return c.do(func(p *performer) error { return p.set(req) })
}

// Pause takes functions from the job servers. It answers when every slot has left the
// functions that has no job in hand; one that has leaves them before it asks for the
// next. So no job of theirs is begun any more, with two exceptions: a server that hangs
// is waited for no longer than a second, and a slot that is busy with the job of one
// server may have been woken by another for one, which it performs before it leaves.
// Names of functions that the worker does not have are remembered, for the case that
// Set brings them.
func (c *contract) Pause(ctx context.Context, req *workerpb.FunctionNames) (*workerpb.Done, error) {
	return c.pause(ctx, req, true)
}

// Resume offers functions again. It does not wait.
func (c *contract) Resume(ctx context.Context, req *workerpb.FunctionNames) (*workerpb.Done, error) {
	return c.pause(ctx, req, false)
}

func (c *contract) pause(ctx context.Context, req *workerpb.FunctionNames, paused bool) (*workerpb.Done, error) {
	return c.do(func(p *performer) error {
		p.pause(ctx, req.GetNames(), paused)
		return nil
	})
}

// Suspect changes the list of suspect jobs.
func (c *contract) Suspect(_ context.Context, req *workerpb.Suspects) (*workerpb.Done, error) {
	return c.do(func(p *performer) error {
		p.suspects.change(req.GetAdd(), req.GetRemove())
		return nil
	})
}

// Ping is answered if the worker's lock can be had, without which nothing that
// controls its slots gets on.
func (c *contract) Ping(context.Context, *workerpb.PingRequest) (*workerpb.Pong, error) {
	p, err := c.running()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return &workerpb.Pong{}, nil
}

// Drain makes the worker leave.
func (c *contract) Drain(_ context.Context, req *workerpb.DrainRequest) (*workerpb.Done, error) {
	return c.do(func(p *performer) error {
		p.retire("drain", req.GetReason())
		return nil
	})
}
