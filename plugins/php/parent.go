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

	inspected bool // it has served an Inspect: its opcache holds those files
	preloaded bool
}

// ready makes sure that there is a parent, which has preloaded what it is to. For
// who has the turn.
func (h *Host) ready(ctx context.Context) (*parent, error) {
	if h.parent != nil && h.parent.isGone() {
		h.drop()
	}
	for {
		if h.parent == nil {
			if err := h.startParent(ctx); err != nil {
				return nil, err
			}
		}
		if h.parent == nil { // it could, or there would be no need for it
			return nil, &ProtocolError{Reason: "the interpreter says that it cannot fork any more"}
		}
		if h.parent.preloaded || len(h.preload) == 0 {
			return h.parent, nil
		}
		if err := h.preloadParent(ctx); err != nil {
			return nil, err
		}
	}
}

// startParent starts a parent and learns what the interpreter is. One that cannot
// fork is of no more use. For who has the turn, without a parent.
func (h *Host) startParent(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	p, err := h.newParent()
	if err != nil {
		return err
	}
	a, err := h.meetParent(ctx, p)
	if err != nil {
		return p.explain(ctx, err, h.cfg.HandshakeTimeout, "greeting")
	}
	go p.read()
	g := a.parent
	h.interp = &Interpreter{Version: g.PHP, SAPI: g.SAPI, Pcntl: g.Pcntl, Opcache: g.Opcache, Gearman: g.Gearman}
	h.parent = p
	if !g.Pcntl {
		h.drop()
	}
	return nil
}

func (h *Host) newParent() (*parent, error) {
	out, err := openPipes(sink{line: h.cfg.Output})
	if err != nil {
		return nil, named(parentName, err)
	}
	return &parent{
		process: &process{name: parentName, path: h.cfg.Path, out: out, done: make(chan struct{})},
		replies: make(chan *reply), gone: make(chan struct{}), left: make(chan struct{}),
	}, nil
}

// meetParent executes php and waits for its greeting.
func (h *Host) meetParent(ctx context.Context, p *parent) (arrival, error) {
	ch := h.door.expect(parentKey)
	defer h.door.withdraw(parentKey, ch)
	script, err := os.Open(h.files.boot)
	if err != nil {
		return arrival{}, fmt.Errorf("start %s: %w", parentName, err)
	}
	defer func() { _ = script.Close() }() // it was read only
	args := slices.Concat(h.cfg.Args, engineArgs(), []string{"--", h.files.bridge, "parent", h.files.socket})
	if err := h.execute(p.process, supervisor.Spec{Args: args, Stdin: script}); err != nil {
		return arrival{}, err
	}
	if err := h.noteParent(p.process); err != nil {
		return arrival{}, err
	}
	a, err := p.arrive(ctx, h, ch)
	if err == nil && a.parent.SAPI != "cli" {
		err = &ProtocolError{Reason: fmt.Sprintf("it is the %s version of php, want that of the command line", a.parent.SAPI)}
	}
	return a, err
}

// noteParent lets Close know the process.
func (h *Host) noteParent(p *process) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alive = p
	if h.closed {
		return ErrClosed
	}
	return nil
}

// execute starts php with the arguments, further environment and limits of spec.
func (h *Host) execute(p *process, spec supervisor.Spec) error {
	spec.Name, spec.Path, spec.Env = p.name, h.cfg.Path, slices.Concat(spec.Env, h.cfg.Env)
	spec.Stdout, spec.Stderr = p.out.stdout.Writer(), p.out.stderr.Writer()
	proc, err := h.cfg.Supervisor.Start(spec)
	if err != nil {
		return err
	}
	p.out.release()
	p.exists(proc)
	return nil
}

// drop ends the parent, if there is one. For who has the turn.
func (h *Host) drop() {
	if h.parent == nil {
		return
	}
	h.parent.once.Do(func() { close(h.parent.left) })
	h.parent.end()
	h.parent = nil
	h.mu.Lock()
	h.alive = nil
	h.mu.Unlock()
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
func (p *parent) await(ctx context.Context, h *Host, patience time.Duration, what string, fits func(*reply) bool) (*reply, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case r := <-p.replies:
			if fits(r) {
				return r, nil
			}
		case <-p.gone:
			return nil, h.unlessClosed(&lostError{what: what})
		case <-timer.C:
			return nil, &lostError{what: what, late: true, after: patience}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-h.closing:
			return nil, ErrClosed
		}
	}
}

// preloadParent makes the parent load the worker files. If that fails, which is told
// once, the next parent does without. For who has the turn.
func (h *Host) preloadParent(ctx context.Context) error {
	err := h.parent.load(ctx, h)
	var lost *lostError
	var refused refusal
	switch {
	case err == nil:
		h.parent.preloaded = true
		return nil
	case errors.As(err, &lost), errors.As(err, &refused):
		h.drop()
		h.preload = nil
		h.tell(fmt.Sprintf("gearman-manager: the worker files are not preloaded: %v", err))
		return nil
	default: // the caller's context, or Close: it may be half loaded
		h.drop()
		return err
	}
}

func (p *parent) load(ctx context.Context, h *Host) error {
	line, err := encode("preload", h.preload)
	if err != nil {
		return err
	}
	if err := p.conn.send(line); err != nil {
		return &lostError{what: "answer to preload"}
	}
	r, err := p.await(ctx, h, h.cfg.InitTimeout, "answer to preload", func(r *reply) bool {
		return r.Preloaded != nil || r.NotPreloaded != nil
	})
	if err == nil && r.NotPreloaded != nil {
		return refusal(*r.NotPreloaded)
	}
	return err
}

// fork asks for one process and returns its number. The error is a refusal, a *lostError, ErrClosed or what
// ended ctx.
func (p *parent) fork(ctx context.Context, h *Host, order *forkOrder) (pid int, err error) {
	line, err := encode("fork", order)
	if err != nil {
		return 0, err
	}
	if err := p.conn.send(line); err != nil {
		return 0, &lostError{what: "fork"}
	}
	r, err := p.await(ctx, h, h.cfg.ForkTimeout, "fork", func(r *reply) bool {
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
