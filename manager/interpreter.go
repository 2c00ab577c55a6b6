package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/trust"
	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// phpHost starts PHP workers and looks at their files.
type phpHost interface {
	Inspector
	// Generation makes a generation of workers. It starts nothing.
	Generation() phpGeneration
	// Use has another php started for the generations from now on, and for inspections.
	Use(path string, args []string, preload bool)
	// Close ends what the host needs beside its workers. These live on.
	Close() error
}

// phpGeneration starts PHP workers that run one version of their files, see php.Generation.
type phpGeneration interface {
	Start(ctx context.Context, launch host.Launch) (process, error)
	// Warm has the generation hold files as they are now. The error may be a
	// *php.WarmError, which is of some of the files.
	Warm(ctx context.Context, files []PHPFile) error
	// Close ends what the workers are forked from. These live on.
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

// interpreter is the php of a manager. It is looked for when it is first needed, since a fleet without PHP files has to do without, and
// again whenever it is needed after it could not be used. Its methods may be called from any goroutine.
type interpreter struct {
	name string // that of what is looked for at first
	open func(path string) (phpHost, error)

	mu     sync.Mutex
	next   *interpreterUse // what is to be used from now on; nil: what was opened
	stamp  string          // of what was used last
	closed bool            // it is not opened any more
	used   bool            // the host may have workers, or has looked at files: it is kept
	path   string
	host   phpHost
	err    error // why there is no host, or why it could not be used the last time
}

// get returns the host, and makes it where there is none. The error is an *InterpreterError.
func (i *interpreter) get() (phpHost, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	h, err := i.ready()
	i.used = i.used || err == nil
	return h, err
}

// ready is get for who has the lock.
func (i *interpreter) ready() (phpHost, error) {
	if i.closed {
		return nil, i.err
	}
	if i.host != nil && i.next == nil {
		return i.host, nil
	}
	name := i.name
	if i.next != nil {
		name = i.next.name
	}
	path, err := findCommand(name)
	if err == nil {
		err = trust.Check(path)
	}
	if i.host == nil && err == nil {
		i.host, err = i.open(path)
	}
	i.name, i.path, i.err = name, path, nil
	if err != nil {
		i.err = &InterpreterError{Name: name, Path: path, Err: err}
		return nil, i.err
	}
	if i.next != nil {
		if stamp := i.next.stamp(path); stamp != i.stamp {
			i.host.Use(path, i.next.args, i.next.preload)
			i.stamp = stamp
		}
		i.next = nil
	}
	return i.host, nil
}

// interpreterUse is what a config says of the interpreter.
type interpreterUse struct {
	name    string
	args    []string
	preload bool
}

// stamp changes with all that makes a difference to workers, also with what lies at path.
func (u *interpreterUse) stamp(path string) string {
	at := ""
	if info, err := os.Stat(path); err == nil { // else it is another thing when it is there
		at = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	}
	return fmt.Sprintf("%q %q %v %s", path, u.args, u.preload, at)
}

// use has the interpreter of a config looked for before it is needed the next time. What
// was made with the one before goes on. It is called before each look at programs, for the
// interpreter may be another at the same place.
func (i *interpreter) use(cfg *config.Config) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next = &interpreterUse{name: cfg.PHP(), args: cfg.PHPArgs(), preload: cfg.PHPPreload()}
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
// One that fails does not count against the next.
func (i *interpreter) Inspect(ctx context.Context, files []PHPFile) ([]PHPFault, error) {
	i.mu.Lock()
	h, err := i.ready()
	i.mu.Unlock()
	if err != nil {
		return nil, err
	}
	faults, err := h.Inspect(ctx, files)
	useless, err := i.inspected(h, err)
	if useless {
		err = errors.Join(err, h.Close())
	}
	if err != nil {
		return nil, err
	}
	return faults, nil
}

// inspected notes what became of an Inspect, and returns its error as ours. An
// interpreter that has never been of any use is looked for again the next time, for it
// may be another by then: its host is not needed any more.
func (i *interpreter) inspected(h phpHost, err error) (useless bool, _ error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.closed:
		return false, i.err
	case err == nil:
		i.used, i.err = true, nil
		return false, nil
	case i.host != h: // another Inspect has found it useless
		return false, &InterpreterError{Name: i.name, Path: i.path, Err: err}
	}
	i.err = &InterpreterError{Name: i.name, Path: i.path, Err: err}
	if !i.used {
		i.host = nil
	}
	return !i.used, i.err
}

// close ends the host, if there is one.
func (i *interpreter) close() error {
	i.mu.Lock()
	h := i.host
	i.closed, i.host, i.err = true, nil, &InterpreterError{Name: i.name, Err: fmt.Errorf("is not used any more: %w", errStopping)}
	i.mu.Unlock()
	if h == nil {
		return nil
	}
	return h.Close()
}
