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
	output  func(stream, line string)
	started func(*supervisor.Process) // may be nil
	fresh   bool                      // the parent must not have inspected files before
}

// open starts a process, forked where that is possible, and returns when it has
// introduced itself. After an error nothing of it is left.
func (h *Host) open(ctx context.Context, s *spawn) (*process, error) {
	interp, err := h.Probe(ctx)
	if err != nil {
		return nil, err
	}
	id := h.nextID()
	out, err := h.outputs(id, interp.Pcntl, s.output)
	if err != nil {
		return nil, named(s.name, err)
	}
	p := &process{name: s.name, path: h.cfg.Path, out: out, done: make(chan struct{})}
	if interp.Pcntl {
		err = h.fork(ctx, p, s, id)
	} else {
		err = h.run(ctx, p, s, id)
	}
	if err != nil {
		return nil, p.explain(ctx, err, h.cfg.HandshakeTimeout, "handshake")
	}
	return p, nil
}

func (h *Host) outputs(id string, forked bool, line func(stream, line string)) (*outputs, error) {
	if forked {
		return openFIFOs(h.files.dir, id, line)
	}
	return openPipes(line)
}

// run starts a php that is the process itself.
func (h *Host) run(ctx context.Context, p *process, s *spawn, id string) error {
	ch := h.door.expect(workerKey(id))
	defer h.door.withdraw(workerKey(id), ch)
	args := slices.Concat(h.cfg.Args, engineArgs(), []string{h.files.bridge, "worker", h.files.socket, id})
	if err := h.execute(p, args, []string{plugins.WorkerEnv + "=" + s.name}, nil); err != nil {
		return err
	}
	s.tell(p)
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	_, err := p.arrive(ctx, h, ch)
	return err
}

func (s *spawn) tell(p *process) {
	if s.started != nil {
		s.started(p.proc)
	}
}

// fork makes a process out of a parent, and adopts it. A parent that dies over it is
// replaced, and asked again.
func (h *Host) fork(ctx context.Context, p *process, s *spawn, id string) error {
	path := filepath.Join(h.files.dir, id)
	order := &forkOrder{ID: id, Title: s.title, Stdout: path + stdoutSuffix, Stderr: path + stderrSuffix}
	err := h.forkOnce(ctx, p, s, order)
	if _, lost := errors.AsType[*lostError](err); lost {
		order.ID = h.nextID()
		err = h.forkOnce(ctx, p, s, order)
	}
	return err
}

func (h *Host) forkOnce(ctx context.Context, p *process, s *spawn, order *forkOrder) error {
	expected, err := h.cfg.Supervisor.Expect()
	if err != nil {
		return named(p.name, err)
	}
	defer expected.Cancel()
	a, from, err := h.born(ctx, order, s.fresh)
	if err != nil {
		return err
	}
	proc, err := expected.Adopt(a.conn.peer, supervisor.Adoption{Name: p.name})
	if err == nil && takenAlong(proc, from) {
		err = &lostError{what: "forked process"}
	}
	if err != nil {
		a.conn.close()
		return err
	}
	p.exists(proc)
	p.connected(a.conn)
	s.tell(p)
	return nil
}

// dying is for how long a process that was killed may take to end.
const dying = 100 * time.Millisecond

// takenAlong tells whether a process was killed with its parent: until it is adopted
// it belongs to the parent's group. It waits only where the parent is dead.
func takenAlong(proc *supervisor.Process, from *parent) bool {
	select {
	case <-from.proc.Done():
	default:
		return false
	}
	timer := time.NewTimer(dying)
	defer timer.Stop()
	select {
	case <-proc.Done():
		return proc.Exit().Signal == syscall.SIGKILL
	case <-timer.C:
		return false
	}
}

// born asks a parent for a process and waits until it has introduced itself. The
// error is a *lostError if the parent has died meanwhile, which may have taken it
// along.
func (h *Host) born(ctx context.Context, order *forkOrder, fresh bool) (arrival, *parent, error) {
	key := workerKey(order.ID)
	ch := h.door.expect(key)
	defer h.door.withdraw(key, ch)
	p, err := h.ask(ctx, order, fresh)
	if err != nil {
		return arrival{}, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	var a arrival
	select {
	case a = <-ch:
		err = a.check()
	case <-p.proc.Done(): // it may be on its way
		a, err = h.late(ctx, ch)
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-h.closing:
		err = ErrClosed
	}
	return a, p, err
}

// late waits for a process whose parent has died, which may have taken it along.
func (h *Host) late(ctx context.Context, ch <-chan arrival) (arrival, error) {
	timer := time.NewTimer(h.cfg.ForkTimeout)
	defer timer.Stop()
	select {
	case a := <-ch:
		return a, a.check()
	case <-timer.C:
		return arrival{}, &lostError{what: "forked process"}
	case <-ctx.Done():
		return arrival{}, context.Cause(ctx)
	case <-h.closing:
		return arrival{}, ErrClosed
	}
}

// check sends one away that is not whom it says it is.
func (a arrival) check() error {
	if a.err != nil {
		a.conn.close()
	}
	return a.err
}

// ask has a parent fork, and returns when it has. A parent that does not is ended.
func (h *Host) ask(ctx context.Context, order *forkOrder, fresh bool) (*parent, error) {
	if err := h.enter(ctx); err != nil {
		return nil, err
	}
	defer h.leave()
	if fresh && h.parent != nil && (h.parent.inspected || h.parent.preloaded) {
		h.drop()
	}
	p, err := h.ready(ctx)
	if err != nil {
		return nil, err
	}
	if fresh {
		p.inspected = true
	}
	err = p.fork(ctx, h, order)
	if lost, ok := errors.AsType[*lostError](err); ok {
		h.drop()
		lost.said = quote.Telling(p.out.tail())
	}
	return p, err
}
