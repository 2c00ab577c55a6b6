package php

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// spawn is a process that is wanted.
type spawn struct {
	name    string // of the worker
	title   string // that ps shows, where php can be forked
	output  sink
	started func(*supervisor.Process) // may be nil

	limits    supervisor.Limits
	keepGroup bool
}

// open starts a process, forked where that is possible, and returns when it has
// introduced itself. After an error nothing of it is left.
func (g *Generation) open(ctx context.Context, s *spawn) (*process, error) {
	h := g.h
	interp, err := g.probe(ctx)
	if err != nil {
		return nil, err
	}
	id := h.nextID()
	out, err := h.outputs(id, interp.Pcntl, s.output)
	if err != nil {
		return nil, named(s.name, err)
	}
	p := &process{name: s.name, path: g.engine.Path, out: out, done: make(chan struct{})}
	if interp.Pcntl {
		err = g.fork(ctx, p, s, id)
	} else {
		err = g.run(ctx, p, s, id)
	}
	if err != nil {
		return nil, p.explain(ctx, err, h.cfg.HandshakeTimeout, "handshake")
	}
	return p, nil
}

func (h *Host) outputs(id string, forked bool, to sink) (*outputs, error) {
	if forked {
		return openFIFOs(h.files.dir, id, to)
	}
	return openPipes(to)
}

// run starts a php that is the process itself.
func (g *Generation) run(ctx context.Context, p *process, s *spawn, id string) error {
	h := g.h
	ch := h.door.expect(workerKey(id))
	defer h.door.withdraw(workerKey(id), ch)
	spec := supervisor.Spec{
		Args: slices.Concat(g.engine.Args, engineArgs(), []string{h.files.bridge, "worker", h.files.socket, id}),
		Env:  []string{plugins.WorkerEnv + "=" + s.name}, Limits: s.limits, KeepGroup: s.keepGroup,
	}
	if err := h.execute(p, spec); err != nil {
		return err
	}
	s.tell(p)
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	_, err := p.arrive(ctx, h.closing, ch)
	return err
}

func (s *spawn) tell(p *process) {
	if s.started != nil {
		s.started(p.proc)
	}
}

// fork makes a process out of a parent, and adopts it. A parent that dies over it is
// replaced, and asked again.
func (g *Generation) fork(ctx context.Context, p *process, s *spawn, id string) error {
	path := filepath.Join(g.h.files.dir, id)
	order := &forkOrder{ID: id, Title: s.title, Stdout: path + stdoutSuffix, Stderr: path + stderrSuffix}
	err := g.forkOnce(ctx, p, s, order)
	if _, lost := errors.AsType[*lostError](err); lost {
		order.ID = g.h.nextID()
		err = g.forkOnce(ctx, p, s, order)
	}
	return err
}

func (g *Generation) forkOnce(ctx context.Context, p *process, s *spawn, order *forkOrder) error {
	h := g.h
	expected, err := h.cfg.Supervisor.Expect()
	if err != nil {
		return named(p.name, err)
	}
	defer expected.Cancel()
	key := workerKey(order.ID)
	ch := h.door.expect(key)
	defer h.door.withdraw(key, ch)
	from, pid, err := g.ask(ctx, order)
	if err != nil {
		return err
	}
	proc, err := expected.Adopt(pid, supervisor.Adoption{Name: p.name, KeepGroup: s.keepGroup, Limits: s.limits})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	a, err := meet(ctx, proc, h.closing, ch)
	if errors.Is(err, errEnded) && takenAlong(proc, from) {
		return &lostError{what: "forked process"}
	}
	p.exists(proc)
	if err != nil {
		return err
	}
	p.connected(a.conn)
	s.tell(p)
	return nil
}

// dying is for how long a parent that was killed may take to end.
const dying = 100 * time.Millisecond

// takenAlong tells whether a process that has ended was killed with its parent: until
// it is adopted it may belong to the parent's group.
func takenAlong(proc *supervisor.Process, from *parent) bool {
	if proc.Exit().Signal != syscall.SIGKILL {
		return false
	}
	timer := time.NewTimer(dying)
	defer timer.Stop()
	select {
	case <-from.proc.Done():
		return true
	case <-timer.C:
		return false
	}
}

// ask has a parent fork, and returns the number of the process when that is our child.
// A parent that does not is ended.
func (g *Generation) ask(ctx context.Context, order *forkOrder) (*parent, int, error) {
	if err := g.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer g.leave()
	p, err := g.ready(ctx)
	if err != nil {
		return nil, 0, err
	}
	pid, err := g.forkOff(ctx, order)
	if lost, ok := errors.AsType[*lostError](err); ok {
		g.lose()
		lost.said = quote.Telling(p.out.tail())
	}
	p.holds = p.holds || err == nil && g != g.engine.scout
	return p, pid, err
}
