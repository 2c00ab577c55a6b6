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
	if err := h.enter(ctx); err != nil {
		return Interpreter{}, err
	}
	defer h.leave()
	return h.known(ctx)
}

// known starts a parent if that is the way to know. For who has the turn.
func (h *Host) known(ctx context.Context) (Interpreter, error) {
	if h.interp == nil {
		if err := h.startParent(ctx); err != nil {
			return Interpreter{}, err
		}
	}
	return *h.interp, nil
}
