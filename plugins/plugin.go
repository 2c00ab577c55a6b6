package plugins

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Handler performs one job and returns its result. ctx ends when the job is
// over its timeout or the worker has to stop at once; a handler that heeds it
// returns soon after. The workload and what is returned are not used by anybody
// else. Handlers run at the same time if the configuration's concurrency says
// so.
type Handler func(ctx context.Context, job *Job) ([]byte, error)

// Part is a part of a worker, given to [Serve]: made by [Func], [Init],
// [Close], [Version] and [Any].
type Part interface {
	addTo(d *definition) error
}

// Func makes h perform the function name. The name is what clients ask for; it
// has 1 to 512 bytes and no NUL.
func Func(name string, h Handler) Part {
	return partFunc(func(d *definition) error {
		if err := checkName(name); err != nil {
			return err
		}
		switch {
		case h == nil:
			return fmt.Errorf("function %q has no handler", name)
		case d.handlers[name] != nil:
			return fmt.Errorf("function %q is given twice", name)
		}
		d.handlers[name] = h
		d.names = append(d.names, name)
		return nil
	})
}

// checkName says what is wrong with a function's name: what the protocol cannot carry.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > 512:
		return fmt.Errorf("function name %q has %d bytes, want 1 to 512", name, len(name))
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("function name %q holds a NUL byte", name)
	}
	return nil
}

// Any makes h perform whatever functions the configuration gives the worker
// with a command, see [Job.Command]. It excludes Func.
func Any(h Handler) Part {
	return partFunc(func(d *definition) error {
		d.any = h
		return nil
	})
}

// Init makes f run once, before the worker takes its first job. If it returns
// an error, the worker does not start, and the error is shown to the operator.
// Several run in their order.
func Init(f func(ctx context.Context) error) Part {
	return partFunc(func(d *definition) error {
		d.init = append(d.init, f)
		return nil
	})
}

// Close makes f run once, after the last job of a worker that leaves. An error
// is logged. Several run in reverse order. It does not run if the process dies.
func Close(f func() error) Part {
	return partFunc(func(d *definition) error {
		d.close = append(d.close, f)
		return nil
	})
}

// Version tells operators which version of the worker runs.
func Version(v string) Part {
	return partFunc(func(d *definition) error {
		d.version = v
		return nil
	})
}

// partFunc is a Part that is a function.
type partFunc func(*definition) error

func (f partFunc) addTo(d *definition) error { return f(d) }

// definition is a worker as its author defined it.
type definition struct {
	names    []string // in the author's order
	handlers map[string]Handler
	any      Handler
	init     []func(context.Context) error
	close    []func() error
	version  string
}

// define puts the parts together.
func define(parts []Part) (*definition, error) {
	d := &definition{handlers: map[string]Handler{}}
	for _, p := range parts {
		if err := p.addTo(d); err != nil {
			return nil, err
		}
	}
	if (len(d.names) == 0) == (d.any == nil) {
		return nil, fmt.Errorf("a worker needs at least one Func, or Any alone")
	}
	return d, nil
}

// handler finds who performs a function.
func (d *definition) handler(function string) Handler {
	if d.any != nil {
		return d.any
	}
	return d.handlers[function]
}

// runInit runs the Init hooks.
func (d *definition) runInit(ctx context.Context) error {
	for _, f := range d.init {
		if err := f(ctx); err != nil {
			return fmt.Errorf("init: %w", err)
		}
	}
	return nil
}

// runClose runs the Close hooks and reports each error.
func (d *definition) runClose(report func(error)) {
	for _, f := range slices.Backward(d.close) {
		if err := f(); err != nil {
			report(fmt.Errorf("close: %w", err))
		}
	}
}
