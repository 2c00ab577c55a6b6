package php

import (
	"context"
	"slices"
	"sync/atomic"
)

// Command is how php is started.
type Command struct {
	Path    string   // of the interpreter, absolute; it is not searched for
	Args    []string // the operator's, which stand before ours
	Preload bool     // see Config.Preload
}

// engine is a php that processes are made of.
type engine struct {
	Command
	interp atomic.Pointer[Interpreter]
	scout  *Generation // whose parent forks inspectors; the next generation takes it over
}

// Use has php started in another way for the generations that are made from now on, and for
// inspections. Those that there are keep to theirs. It blocks until the php
// that served inspections has ended, and does not look whether the new one works, see Probe.
func (h *Host) Use(c Command) {
	c.Args = slices.Clone(c.Args)
	h.mu.Lock()
	old := h.engine
	h.engine = &engine{Command: c}
	h.engine.scout = h.generation(h.engine)
	h.mu.Unlock()
	_ = old.scout.Close() // nil
}

func (h *Host) current() *engine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.engine
}

// Interpreter is what a php says of itself.
type Interpreter struct {
	Version string // such as "8.2.36"
	SAPI    string // "cli", as a rule
	Pcntl   bool   // whether it can fork: with pcntl and posix
	Opcache bool   // whether opcache keeps compiled files
	Gearman bool   // whether pecl/gearman is loaded; it is not needed
}

// Probe asks the interpreter what it is. The first call starts a parent and blocks
// until it has answered, for HandshakeTimeout at most or until ctx ends; later ones
// know the answer. Errors: *StartError, *supervisor.StartError if there is nothing
// that could be executed, ErrClosed and what ended ctx.
func (h *Host) Probe(ctx context.Context) (Interpreter, error) {
	return h.current().scout.probe(ctx)
}

// probe starts a parent if that is the way to know.
func (g *Generation) probe(ctx context.Context) (Interpreter, error) {
	if i := g.engine.interp.Load(); i != nil {
		return *i, unlessClosed(g.closing, nil)
	}
	if err := g.enter(ctx); err != nil {
		return Interpreter{}, err
	}
	defer g.leave()
	if g.engine.interp.Load() == nil {
		if err := g.takeParent(ctx); err != nil {
			return Interpreter{}, err
		}
	}
	return *g.engine.interp.Load(), nil
}
