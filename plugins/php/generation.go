package php

import (
	"context"
	"slices"
	"sync"
)

// Generation starts workers that run one version of the worker files: what the disk
// held when the generation first loaded each of them, see [Generation.Warm], whatever
// the disk holds later. Generations are independent of each other. Its methods may be
// called from any goroutine.
type Generation struct {
	h       *Host
	engine  *engine
	closing chan struct{}
	turn    chan struct{} // holds one value while somebody has the parent
	end     sync.Once

	// Of who has the turn.
	parent  *parent
	preload []source // what a parent is to load; nil if nothing, or if that has failed

	mu     sync.Mutex
	closed bool
	alive  *process // the latest parent, for Close
}

// Generation makes a generation. It starts nothing: a generation has a php of its own,
// its parent, from its first use to Close. One of a host that is closed is closed.
func (h *Host) Generation() *Generation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.generation(h.engine)
}

// generation is for who has the lock.
func (h *Host) generation(e *engine) *Generation {
	g := &Generation{h: h, engine: e, closing: make(chan struct{}), turn: make(chan struct{}, 1)}
	if h.closed {
		g.closed = true
		close(g.closing)
		return g
	}
	h.generations[g] = struct{}{}
	return g
}

// Warm loads files in a process that is thrown away, so that the opcache of the
// generation holds them, and what they include, as they are on the disk now. Those
// that it holds already stay as they were. With Config.Preload the parent loads the
// good ones, too. It does nothing where php cannot fork, or has neither opcache nor
// Preload: workers load what the disk holds there. Warm blocks until all files are
// loaded, for InitTimeout each at most, or until ctx ends; starts wait for a preload only.
//
// Errors are those of Start, and a *WarmError for files that do not load.
func (g *Generation) Warm(ctx context.Context, list []File) error {
	interp, err := g.probe(ctx)
	if err != nil {
		return err
	}
	if !interp.Pcntl || !interp.Opcache && !g.engine.Preload {
		return nil
	}
	findings, err := g.inspect(ctx, list, true)
	if err != nil {
		return err
	}
	if err := g.preloadGood(ctx, list, findings); err != nil {
		return err
	}
	if len(findings) > 0 {
		return &WarmError{Findings: findings}
	}
	return nil
}

// preloadGood has the parent load the good files, where it is to.
func (g *Generation) preloadGood(ctx context.Context, list []File, findings []Finding) error {
	if !g.engine.Preload {
		return nil
	}
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.leave()
	for _, f := range list {
		bad := slices.ContainsFunc(findings, func(bad Finding) bool { return bad.Path == f.Path })
		if s := f.source(); !bad && !slices.Contains(g.preload, s) {
			g.preload = append(g.preload, s)
		}
	}
	_, err := g.ready(ctx)
	return err
}

// Close ends the parent; workers that have been forked live on. It blocks until the
// parent has been reaped. Starts that wait for the parent, and all later ones, fail
// with ErrClosed. Closing again is no error.
func (g *Generation) Close() error {
	g.beginClose()
	g.finishClose()
	return nil
}

// beginClose wakes all that wait for the parent.
func (g *Generation) beginClose() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	close(g.closing)
	if g.alive != nil {
		g.alive.abort()
	}
}

// finishClose returns when nothing is left of it, whoever sees to that.
func (g *Generation) finishClose() {
	g.end.Do(func() {
		g.turn <- struct{}{} // for good; whoever has it gives it up now
		g.drop()
		g.h.mu.Lock()
		defer g.h.mu.Unlock()
		delete(g.h.generations, g)
	})
}

// enter waits for the turn, which leave gives back.
func (g *Generation) enter(ctx context.Context) error {
	if err := unlessClosed(g.closing, nil); err != nil {
		return err
	}
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-g.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *Generation) leave() { <-g.turn }

// noteParent lets Close know the parent.
func (g *Generation) noteParent(p *process) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive = p
	if g.closed {
		return ErrClosed
	}
	return nil
}

// forgetParent is for one that has ended, or that another has taken over.
func (g *Generation) forgetParent() {
	g.parent = nil
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive = nil
}

// lose ends a parent that does not serve any more. What its opcache held is lost, which
// is told. For who has the turn.
func (g *Generation) lose() {
	if g.parent.holds && unlessClosed(g.closing, nil) == nil {
		g.h.tell("gearman-manager: the php that workers are forked from is replaced, as it has died or does not answer: workers that are started from now on run what the disk holds")
	}
	g.drop()
}

// drop ends the parent, if there is one. For who has the turn.
func (g *Generation) drop() {
	if g.parent == nil {
		return
	}
	g.parent.once.Do(func() { close(g.parent.left) })
	g.parent.end()
	g.forgetParent()
}
