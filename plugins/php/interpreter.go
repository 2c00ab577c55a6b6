package php

import (
	"context"
)

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
	if i := h.interp.Load(); i != nil {
		return *i, unlessClosed(h.closing, nil)
	}
	return h.scout.probe(ctx)
}

// probe starts a parent if that is the way to know.
func (g *Generation) probe(ctx context.Context) (Interpreter, error) {
	if err := g.enter(ctx); err != nil {
		return Interpreter{}, err
	}
	defer g.leave()
	if g.h.interp.Load() == nil {
		if err := g.startParent(ctx); err != nil {
			return Interpreter{}, err
		}
	}
	return *g.h.interp.Load(), nil
}
