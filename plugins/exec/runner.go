package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// DefaultTailLines is the default of Config.TailLines.
const DefaultTailLines = 10

// Starters is what supervisor.Config.Starters should be for a worker: on two
// processors that others use too, four slots started 1.1 to 2.7 times as many
// executables as with one.
const Starters = 4

// Config says how executables are run. The zero value is a usable one.
type Config struct {
	// Dir is the working directory of the executables; the worker's if empty.
	Dir string
	// Env is the environment of the executables, to which the variables of the job
	// are added. If nil, it is the worker's own without what concerns the worker
	// alone.
	Env []string
	// MaxLine is how many bytes of a line on stderr are logged;
	// supervisor.DefaultMaxLine if zero.
	MaxLine int
	// TailLines is how many of the last lines of stderr an error quotes.
	// DefaultTailLines if zero.
	TailLines int
	// KeepGroup spares what an executable has left running in its group when its job is
	// over, however that ends: only the executable itself is killed then.
	KeepGroup bool
}

func (c Config) withDefaults() Config {
	if c.TailLines <= 0 {
		c.TailLines = DefaultTailLines
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	c.Env = inheritable(c.Env)
	return c
}

// New returns the handler that runs the command of a job's function, for
// [plugins.Any]. It may be called by any number of goroutines; each call blocks
// until the executable has ended. The processes belong to sup, which the caller
// makes, with Starters, and stops.
func New(sup *supervisor.Supervisor, cfg Config) plugins.Handler {
	return newRunner(sup, cfg).handle
}

// runner runs executables.
type runner struct {
	sup      *supervisor.Supervisor
	cfg      Config
	programs programs
	buffers  sync.Pool // *[]byte of bufferSize, for results
}

func newRunner(sup *supervisor.Supervisor, cfg Config) *runner {
	return &runner{
		sup: sup, cfg: cfg.withDefaults(),
		buffers: sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }},
	}
}

// handle is the plugins.Handler.
func (r *runner) handle(ctx context.Context, job *plugins.Job) ([]byte, error) {
	log := job.Logger()
	return r.run(ctx, &task{
		command:  job.Command(),
		function: job.Function(),
		handle:   job.Handle(),
		unique:   job.Unique(),
		workload: job.Workload(),
		most:     job.MaxResult(),
		status:   job.Status,
		stderr:   func(line string) { log.InfoContext(ctx, line, "stream", "stderr") },
		warn:     func(text string) { log.WarnContext(ctx, text) },
	})
}

// task is a job, as far as an executable is concerned.
type task struct {
	command                  []string
	function, handle, unique string
	workload                 []byte
	most                     int64 // bytes of the result
	status                   func(numerator, denominator uint32) error
	stderr                   func(line string)
	warn                     func(text string)
}

// run performs one job.
func (r *runner) run(ctx context.Context, t *task) ([]byte, error) {
	if len(t.command) == 0 {
		return nil, fmt.Errorf("function %q has no command", t.function)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	e, err := newExecution(r, t)
	if err != nil {
		return nil, err
	}
	defer e.close()
	if err := r.start(ctx, e); err != nil {
		return nil, err
	}
	return e.perform(ctx)
}

// busyRetries and busyPause are for a program that is being replaced in place,
// which cannot be executed for that time: "text file busy".
const (
	busyRetries = 20
	busyPause   = 50 * time.Millisecond
)

// start starts the executable of a job.
func (r *runner) start(ctx context.Context, e *execution) error {
	for try := 0; ; try++ {
		err := r.startOnce(e)
		if err == nil || !errors.Is(err, syscall.ETXTBSY) || try == busyRetries {
			return err
		}
		pause := time.NewTimer(busyPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

func (r *runner) startOnce(e *execution) error {
	command := e.task.command
	path, err := r.programs.find(command[0])
	if err != nil {
		return err
	}
	e.proc, err = r.sup.Start(supervisor.Spec{
		Name:  command[0],
		Path:  path,
		Argv0: command[0],
		Args:  command[1:],
		Env:   r.environment(e.task),
		Dir:   r.cfg.Dir,
		Stdin: e.stdin, Stdout: e.stdout.writer, Stderr: e.stderr.Writer(),
		ExtraFiles: e.progress.extra(),
		Pdeathsig:  syscall.SIGKILL,
		KeepGroup:  r.cfg.KeepGroup,
	})
	if err != nil {
		r.programs.forget(command[0])
	}
	return err
}

// Names of the variables that tell an executable about its job.
const (
	envHandle   = "GEARMAN_JOB_HANDLE"
	envFunction = "GEARMAN_FUNCTION"
	envUnique   = "GEARMAN_UNIQUE"
)

func (r *runner) environment(t *task) []string {
	env := make([]string, 0, len(r.cfg.Env)+3)
	env = append(env, r.cfg.Env...)
	return append(env, envHandle+"="+t.handle, envFunction+"="+t.function, envUnique+"="+t.unique)
}

// inheritable drops what concerns this process only: the handshake with its
// manager, which would make a plugin that is used as an executable take itself
// for a worker; and what is set anew for each job.
func inheritable(env []string) []string {
	kept := make([]string, 0, len(env))
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case envHandle, envFunction, envUnique, plugins.CookieKey,
			"PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT",
			"PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_UNIX_SOCKET_GROUP", "PLUGIN_MULTIPLEX_GRPC": // of go-plugin
		default:
			kept = append(kept, v)
		}
	}
	return kept
}
