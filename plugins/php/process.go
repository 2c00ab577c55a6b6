package php

import (
	"context"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// lastWords is for how long the connection of a process that has ended is still
// read. What it said lies in the socket and is there at once, unless a descendant
// holds that open.
const lastWords = time.Second

// process is a php process, whatever it is. Its outputs are there from the
// beginning, the rest comes when it exists and has connected.
type process struct {
	name string
	path string // of the interpreter
	out  *outputs
	done chan struct{} // closed when it has ended and all that it printed has been read
	conn *conn         // set before it is used by others

	mu      sync.Mutex // of what follows, while it may be both starting and unwanted
	proc    *supervisor.Process
	aborted bool
}

// exists is called once, when there is a process.
func (p *process) exists(proc *supervisor.Process) {
	p.mu.Lock()
	p.proc = proc
	if p.aborted {
		_ = proc.Kill() // else it stays a process of the supervisor, which reports it
	}
	p.mu.Unlock()
	go p.watch(proc)
}

// watch cleans up after the process. It ends with it.
func (p *process) watch(proc *supervisor.Process) {
	<-proc.Done()
	p.mu.Lock()
	c := p.conn
	p.mu.Unlock()
	if c != nil {
		c.lastRead(lastWords)
	}
	p.out.close()
	close(p.done)
}

// connected is called when it has introduced itself.
func (p *process) connected(c *conn) {
	p.mu.Lock()
	p.conn = c
	proc := p.proc
	p.mu.Unlock()
	select {
	case <-proc.Done():
		c.lastRead(lastWords)
	default:
	}
}

// abort kills the process, now or as soon as there is one.
func (p *process) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aborted = true
	if p.proc != nil {
		_ = p.proc.Kill() // as above
	}
}

// end kills the process, waits for its end and closes its connection. Without a
// process it closes the outputs.
func (p *process) end() {
	p.abort()
	if p.proc != nil {
		<-p.done
	} else {
		p.out.close()
	}
	if p.conn != nil {
		p.conn.close()
	}
}

// arrive waits until it has introduced itself, as who it is.
func (p *process) arrive(ctx context.Context, closing <-chan struct{}, ch <-chan arrival) (arrival, error) {
	a, err := meet(ctx, p.proc, closing, ch)
	if err == nil {
		p.connected(a.conn)
	}
	return a, err
}

// meet waits until a process has introduced itself.
func meet(ctx context.Context, proc *supervisor.Process, closing <-chan struct{}, ch <-chan arrival) (arrival, error) {
	select {
	case a := <-ch:
		return a.checked(proc)
	case <-proc.Done():
	case <-ctx.Done():
		return arrival{}, context.Cause(ctx)
	case <-closing:
		return arrival{}, ErrClosed
	}
	select {
	case a := <-ch: // and ended after that
		return a.checked(proc)
	default:
		return arrival{}, unlessClosed(closing, errEnded)
	}
}

// checked looks whether it is the process that was started.
func (a arrival) checked(proc *supervisor.Process) (arrival, error) {
	if a.err == nil && a.conn.peer != proc.PID() {
		a.err = &ProtocolError{Reason: "the process that answers is another than was started: is the interpreter a script that does not exec php?"}
	}
	if a.err != nil {
		a.conn.close()
		return arrival{}, a.err
	}
	return a, nil
}
