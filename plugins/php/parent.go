package php

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// parentName is what the parent is called in errors and in the list of processes.
const parentName = "php parent"

// parent is the process that forks. One goroutine reads what it says, and it is told
// one thing at a time by who has the turn.
type parent struct {
	*process
	replies chan *reply
	gone    chan struct{} // closed when no reply comes any more
	left    chan struct{} // closed when none is wanted any more
	once    sync.Once

	holds     bool // it has forked for its generation: its opcache holds a version
	preloaded int  // files that it has loaded, of those that its generation wants
}

// ready makes sure that there is a parent, which has preloaded what it is to. For
// who has the turn.
func (g *Generation) ready(ctx context.Context) (*parent, error) {
	if g.parent != nil && g.parent.isGone() {
		g.lose()
	}
	for {
		if g.parent == nil {
			if err := g.takeParent(ctx); err != nil {
				return nil, err
			}
		}
		if g.parent == nil { // it could, or there would be no need for it
			return nil, &ProtocolError{Reason: "the interpreter says that it cannot fork any more"}
		}
		if g.parent.preloaded == len(g.preload) {
			return g.parent, nil
		}
		if err := g.preloadParent(ctx); err != nil {
			return nil, err
		}
	}
}

// takeParent takes over the parent of the scout, whose children leave nothing in
// opcache, or starts one. For who has the turn, without a parent.
func (g *Generation) takeParent(ctx context.Context) error {
	if scout := g.engine.scout; g != scout {
		p, err := scout.giveParent(ctx)
		if err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
		if p != nil {
			g.parent = p
			return g.noteParent(p.process)
		}
	}
	return g.startParent(ctx)
}

// giveParent gives the parent away, if there is one.
func (g *Generation) giveParent(ctx context.Context) (*parent, error) {
	if err := g.enter(ctx); err != nil {
		return nil, err
	}
	defer g.leave()
	p := g.parent
	if p == nil {
		return nil, nil
	}
	if p.isGone() {
		g.drop()
		return nil, nil
	}
	g.forgetParent()
	return p, nil
}

// startParent starts a parent and learns what the interpreter is. One that cannot
// fork is of no more use. For who has the turn, without a parent.
func (g *Generation) startParent(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, g.h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	p, err := g.newParent()
	if err != nil {
		return err
	}
	a, err := g.meetParent(ctx, p)
	if err != nil {
		return p.explain(ctx, err, g.h.cfg.HandshakeTimeout, "greeting")
	}
	go p.read()
	is := a.parent
	g.engine.interp.Store(&Interpreter{Version: is.PHP, SAPI: is.SAPI, Pcntl: is.Pcntl, Opcache: is.Opcache, Gearman: is.Gearman})
	g.parent = p
	if !is.Pcntl {
		g.drop()
	}
	return nil
}

func (g *Generation) newParent() (*parent, error) {
	out, err := openPipes(sink{line: g.h.cfg.Output})
	if err != nil {
		return nil, named(parentName, err)
	}
	return &parent{
		process: &process{name: parentName, path: g.engine.Path, out: out, done: make(chan struct{})},
		replies: make(chan *reply), gone: make(chan struct{}), left: make(chan struct{}),
	}, nil
}

// meetParent executes php and waits for its greeting.
func (g *Generation) meetParent(ctx context.Context, p *parent) (arrival, error) {
	h, id := g.h, g.h.nextID()
	ch := h.door.expect(parentKey(id))
	defer h.door.withdraw(parentKey(id), ch)
	script, err := os.Open(h.files.boot)
	if err != nil {
		return arrival{}, fmt.Errorf("start %s: %w", parentName, err)
	}
	defer func() { _ = script.Close() }() // it was read only
	args := slices.Concat(g.engine.Args, engineArgs(), []string{"--", h.files.bridge, "parent", h.files.socket, id})
	if err := h.execute(p.process, supervisor.Spec{Args: args, Stdin: script}); err != nil {
		return arrival{}, err
	}
	if err := g.noteParent(p.process); err != nil {
		return arrival{}, err
	}
	a, err := p.arrive(ctx, g.closing, ch)
	if err == nil && a.parent.SAPI != "cli" {
		err = &ProtocolError{Reason: fmt.Sprintf("it is the %s version of php, want that of the command line", a.parent.SAPI)}
	}
	return a, err
}

// execute starts php with the arguments, further environment and limits of spec.
func (h *Host) execute(p *process, spec supervisor.Spec) error {
	spec.Name, spec.Path, spec.Env = p.name, p.path, slices.Concat(spec.Env, h.cfg.Env)
	spec.Stdout, spec.Stderr = p.out.stdout.Writer(), p.out.stderr.Writer()
	proc, err := h.cfg.Supervisor.Start(spec)
	if err != nil {
		return err
	}
	p.out.release()
	p.exists(proc)
	return nil
}

// isGone tells whether the parent cannot be asked any more.
func (p *parent) isGone() bool {
	select {
	case <-p.gone:
		return true
	case <-p.proc.Done():
		return true
	default:
		return false
	}
}

// read hands on the replies. It ends with the connection, or when none is wanted any
// more. A parent that says what it should not is as good as dead.
func (p *parent) read() {
	defer close(p.gone)
	for {
		line, err := p.conn.in.next()
		if err != nil {
			return
		}
		r, err := decode[reply](line)
		if err != nil {
			return
		}
		select {
		case p.replies <- r:
		case <-p.left:
			return
		}
	}
}

// await waits for the reply that fits. The error is a *lostError, ErrClosed or what
// ended ctx.
func (p *parent) await(ctx context.Context, closing <-chan struct{}, patience time.Duration, what string, fits func(*reply) bool) (*reply, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case r := <-p.replies:
			if fits(r) {
				return r, nil
			}
		case <-p.gone:
			return nil, unlessClosed(closing, &lostError{what: what})
		case <-timer.C:
			return nil, &lostError{what: what, late: true, after: patience}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-closing:
			return nil, ErrClosed
		}
	}
}

// preloadParent makes the parent load the worker files that it has not. If that fails, which is told
// once, the next parent does without. For who has the turn.
func (g *Generation) preloadParent(ctx context.Context) error {
	err := g.load(ctx)
	var lost *lostError
	var refused refusal
	switch {
	case err == nil:
		g.parent.preloaded = len(g.preload)
		return nil
	case errors.As(err, &lost), errors.As(err, &refused):
		g.drop()
		g.preload = nil
		g.h.tell(fmt.Sprintf("gearman-manager: the worker files are not preloaded: %v", err))
		return nil
	default: // the caller's context, or Close: it may be half loaded
		g.drop()
		return err
	}
}

func (g *Generation) load(ctx context.Context) error {
	line, err := encode("preload", g.preload[g.parent.preloaded:])
	if err != nil {
		return err
	}
	if err := g.parent.conn.send(line); err != nil {
		return &lostError{what: "answer to preload"}
	}
	r, err := g.parent.await(ctx, g.closing, g.h.cfg.InitTimeout, "answer to preload", func(r *reply) bool {
		return r.Preloaded != nil || r.NotPreloaded != nil
	})
	if err == nil && r.NotPreloaded != nil {
		return refusal(*r.NotPreloaded)
	}
	return err
}

// forkOff asks the parent for one process and returns its number. The error is a refusal, a *lostError,
// ErrClosed or what ended ctx. For who has the turn.
func (g *Generation) forkOff(ctx context.Context, order *forkOrder) (pid int, err error) {
	line, err := encode("fork", order)
	if err != nil {
		return 0, err
	}
	if err := g.parent.conn.send(line); err != nil {
		return 0, &lostError{what: "fork"}
	}
	r, err := g.parent.await(ctx, g.closing, g.h.cfg.ForkTimeout, "fork", func(r *reply) bool {
		return r.Forked != nil && *r.Forked == order.ID || r.NotForked != nil && *r.NotForked == order.ID
	})
	switch {
	case err != nil:
		return 0, err
	case r.NotForked != nil:
		return 0, refusal("php could not fork: " + r.Error)
	default:
		return r.PID, nil
	}
}
