package manager

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/gearman-manager/gearman-manager/internal/trust"
	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// phpHost starts PHP workers and looks at their files.
type phpHost interface {
	Inspector
	Start(ctx context.Context, launch host.Launch) (process, error)
	// Renew has the files of workers loaded anew from now on.
	Renew(ctx context.Context) error
	// Close ends what the host needs beside its workers. These live on.
	Close() error
}

// InterpreterError says why PHP workers cannot be run.
type InterpreterError struct {
	Name string // as the config has it
	Path string // what was run, if anything was found
	Err  error
}

// Error names the interpreter; it is a clause such as "the interpreter php is not on the PATH".
func (e *InterpreterError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("the interpreter %s %v", e.Name, e.Err)
	}
	_, why, named := strings.Cut(e.Err.Error(), " with "+e.Path+": ")
	if !named {
		why = e.Err.Error()
	}
	return fmt.Sprintf("the interpreter %s cannot be used: %s", e.Name, why)
}

// Unwrap returns the cause.
func (e *InterpreterError) Unwrap() error { return e.Err }

// interpreter is the php of a manager. It is looked for when it is first needed, since a fleet without PHP files has to do without. Its
// methods may be called from any goroutine.
type interpreter struct {
	name string
	open func(path string) (phpHost, error)

	mu     sync.Mutex
	opened bool // or closed, after which it is not opened any more
	path   string
	host   phpHost
	err    error // why there is no host, or why it cannot be used
}

// get returns the host, and makes it at the first call. The error is an *InterpreterError.
func (i *interpreter) get() (phpHost, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.opened {
		return i.host, i.err
	}
	i.opened = true
	if i.path, i.err = findCommand(i.name); i.err == nil {
		i.err = trust.Check(i.path)
	}
	if i.err == nil {
		i.host, i.err = i.open(i.path)
	}
	if i.err != nil {
		i.err = &InterpreterError{Name: i.name, Path: i.path, Err: i.err}
	}
	return i.host, i.err
}

// where is the absolute path of the interpreter, once it was found.
func (i *interpreter) where() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.path
}

// fault is why PHP workers cannot be run, as far as is known.
func (i *interpreter) fault() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.err
}

// Inspect implements Inspector. The error is an *InterpreterError, or what ended ctx.
func (i *interpreter) Inspect(ctx context.Context, files []PHPFile) ([]PHPFault, error) {
	h, err := i.get()
	if err != nil {
		return nil, err
	}
	faults, err := h.Inspect(ctx, files)
	if err == nil {
		return faults, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	err = &InterpreterError{Name: i.name, Path: i.path, Err: err}
	i.err = err
	return nil, err
}

// close ends the host, if there is one.
func (i *interpreter) close() error {
	i.mu.Lock()
	h := i.host
	i.opened, i.host, i.err = true, nil, &InterpreterError{Name: i.name, Err: fmt.Errorf("is not used any more: %w", errStopping)}
	i.mu.Unlock()
	if h == nil {
		return nil
	}
	return h.Close()
}
