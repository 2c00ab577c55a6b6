package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/internal/pidfile"
	"github.com/gearman-manager/gearman-manager/manager"
)

// manage is the program without a command: it runs the fleet.
type manage struct {
	settings *settings
	logs     *logFlags
	check    bool
	version  bool
	problems []config.Problem // of the config that is run
}

func manageCommand() command {
	return command{
		short: "run a fleet of Gearman workers",
		long: verbosityHelp + `
Signals:
  TERM, INT   stop: idle workers leave at once, busy ones finish their job
              within graceful_shutdown_wait_time; each further one shortens
              that, the fifth ends it
  HUP         reopen the log, read the config again, and replace all workers
              one by one, so that they run the code that is there now
  USR1        reopen the log, after it was rotated
` + exitHelp,
		define: func(fs *pflag.FlagSet) action {
			m := &manage{settings: addSettings(fs), logs: addLogFlags(fs)}
			fs.BoolVarP(&m.check, "check", "Z", false, "Show what would be run, and what is wrong with the config, and end. The same as the command check.")
			fs.BoolVar(&m.version, "version", false, "Show the version and end. The same as the command version.")
			fs.BoolP("ignored", "o", false, "Nothing; accepted because GearmanManager does.")
			return m.run
		},
	}
}

// run runs the fleet until a signal, or shows its plan.
func (m *manage) run(ctx context.Context, std *streams, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	if m.version {
		return showVersion(std)
	}
	if m.check {
		return (&check{settings: m.settings}).run(ctx, std, nil)
	}
	cfg, problems, err := m.settings.load(ctx, std)
	if err != nil {
		return err
	}
	if config.HasErrors(problems) {
		return refuse(std, problems)
	}
	out, err := m.logs.open(ctx, std, cfg)
	if err != nil {
		return err
	}
	defer out.close()
	signal.Ignore(syscall.SIGPIPE) // who reads the log may end; workers do not inherit it
	logProblems(out.log, problems)
	m.problems = problems
	if err = m.alone(ctx, std, cfg, out); err != nil && out.file != nil {
		out.log.Error().Err(err).Msg("fleet not run") // who started it may look there only
	}
	return err
}

// alone runs the fleet if no other process has the pid file.
func (m *manage) alone(ctx context.Context, std *streams, cfg *config.Config, out *logOutput) error {
	if cfg.PidFile() == "" {
		return m.fleet(ctx, std, cfg, out)
	}
	pid, err := pidfile.Take(cfg.PidFile())
	if err != nil {
		return err
	}
	defer func() {
		if err := pid.Remove(); err != nil {
			out.log.Warn().Err(err).Msg("pid file not removed")
		}
	}()
	return m.fleet(ctx, std, cfg, out)
}

// fleet runs the manager until SIGTERM or SIGINT.
func (m *manage) fleet(ctx context.Context, std *streams, cfg *config.Config, out *logOutput) error {
	reread := &rereading{settings: m.settings, std: std, running: cfg}
	started := make(chan struct{})
	fleet, err := manager.New(manager.Config{ //nolint:contextcheck // it waits for nothing
		Settings: cfg, Problems: m.problems, KeepState: true, Logger: out.log, Reload: reread.load,
		OnEvent: func(e manager.Event) {
			if _, ok := e.(manager.FleetStarted); ok {
				close(started)
			}
		},
	})
	if err != nil {
		return err
	}
	reread.supervisor = fleet.Supervisor()
	ctx, cancel := context.WithCancelCause(ctx)
	var serving sync.WaitGroup
	over, asked := make(chan struct{}), make(chan struct{}, 1)
	serving.Go(func() { reloadAsked(ctx, started, asked, fleet, out.log) })
	serving.Go(func() {
		obey(std.signals, over, out.log, obedience{
			stop: func(s os.Signal) {
				if ctx.Err() != nil { // somebody else has told it
					fleet.Hurry()
				}
				cancel(&signalError{s})
			},
			hurry: fleet.Hurry, reopen: out.reopen, reload: func() { offer(asked) },
		})
	})
	server, err := openFleetControl(ctx, fleet, cfg, out.log, func() { cancel(&signalError{syscall.SIGTERM}) })
	if err == nil {
		err = fleet.Run(ctx)
	} else {
		err = errors.Join(err, fleet.Stop(ctx))
	}
	if server != nil {
		err = errors.Join(err, server.Close(ctx))
	}
	cancel(nil)
	close(over)
	serving.Wait()
	return m.explain(err)
}

// explain makes the command's error of the fleet's.
func (m *manage) explain(err error) error {
	if _, stopped := errors.AsType[*signalError](err); stopped {
		return nil // it has not begun, which is as good as stopped
	}
	if errors.Is(err, manager.ErrNothingToRun) && m.settings.file == "" {
		return fmt.Errorf("%w, and no config file was given: -c names one, -w directories of workers", err)
	}
	return alreadyRuns(err)
}

// runsError says which process answers at the control socket that is wanted.
type runsError struct {
	socket *control.SocketError
	err    error
}

// Error names it.
func (e *runsError) Error() string {
	who := "another process"
	if e.socket.PID > 0 {
		who = pidfile.Describe(e.socket.PID)
	}
	return fmt.Sprintf("it runs already: %s answers at the control socket %s; a second one beside it wants another control_socket", who, e.socket.Path)
}

// Unwrap returns the error of the socket.
func (e *runsError) Unwrap() error { return e.err }

// alreadyRuns says what it means that something is in use by another manager.
func alreadyRuns(err error) error {
	if state, ok := errors.AsType[*manager.StateDirError](err); ok && state.InUse {
		return fmt.Errorf("it runs already: %w; a second one beside it wants a config of its own, or another state_dir", err)
	}
	if socket, ok := errors.AsType[*control.SocketError](err); ok && socket.InUse {
		return &runsError{socket: socket, err: err}
	}
	return err
}

// refuse writes what is wrong with a config that cannot be run.
func refuse(std *streams, problems []config.Problem) error {
	writeProblems(std, problems)
	return &exitError{code: exitFailed, err: fmt.Errorf("the config has %s; nothing was started", countErrors(problems))}
}

// writeProblems writes one line for each problem.
func writeProblems(std *streams, problems []config.Problem) {
	for _, p := range problems {
		_, _ = fmt.Fprintf(std.err, "%s: %v\n", p.Severity, p)
	}
}

// countErrors says how many problems are errors.
func countErrors(problems []config.Problem) string {
	n := 0
	for _, p := range problems {
		if p.Severity == config.Error {
			n++
		}
	}
	if n == 1 {
		return "1 error"
	}
	return fmt.Sprintf("%d errors", n)
}

// logProblems logs the warnings of a config that can be run.
func logProblems(log zerolog.Logger, problems []config.Problem) {
	for _, p := range problems {
		fields := log.With()
		if p.File != "" {
			fields = fields.Str(logging.FieldFile, p.File)
		}
		if p.Line > 0 {
			fields = fields.Int(logging.FieldLine, p.Line)
		}
		if p.Section != "" {
			fields = fields.Str(logging.FieldSection, p.Section).Str(logging.FieldKey, p.Key)
		}
		if p.Flag != "" {
			fields = fields.Str(logging.FieldFlag, p.Flag)
		}
		place := fields.Logger()
		place.Warn().Str(logging.FieldDetail, p.Message).Msg("problem found")
	}
}
