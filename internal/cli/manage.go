package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/manager"
)

// manage is the program without a command: it runs the fleet.
type manage struct {
	settings *settings
	logs     *logFlags
	check    bool
	version  bool
}

func manageCommand() command {
	return command{
		short: "run a fleet of Gearman workers",
		long: verbosityHelp + `
Signals:
  TERM, INT   stop: idle workers leave at once, busy ones finish their job
              within graceful_shutdown_wait_time; each further one shortens
              that, the fifth ends it
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
	log, flush, err := m.logs.queued(ctx, std, cfg.Verbose())
	if err != nil {
		return err
	}
	defer flush()
	signal.Ignore(syscall.SIGPIPE) // who reads the log may end; workers do not inherit it
	logProblems(log, problems)
	return m.fleet(ctx, std, cfg, log)
}

// fleet runs the manager until SIGTERM or SIGINT.
func (m *manage) fleet(ctx context.Context, std *streams, cfg *config.Config, log zerolog.Logger) error {
	fleet, err := manager.New(manager.Config{Settings: cfg, KeepState: true, Logger: log}) //nolint:contextcheck // it waits for nothing
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		obey(std.signals, over, log, func(s os.Signal) { cancel(&signalError{s}) }, fleet.Hurry)
	}()
	server := openControl(ctx, fleet, cfg, log)
	err = fleet.Run(ctx)
	if server != nil {
		err = errors.Join(err, server.Close(ctx))
	}
	close(over)
	<-ended
	if _, stopped := errors.AsType[*signalError](err); stopped {
		return nil // it has not begun, which is as good as stopped
	}
	if errors.Is(err, manager.ErrNothingToRun) && m.settings.file == "" {
		return fmt.Errorf("%w, and no config file was given: -c names one, -w directories of workers", err)
	}
	return err
}

// obey acts on signals until over: the first one stops, the others hurry.
func obey(signals <-chan os.Signal, over <-chan struct{}, log zerolog.Logger, stop func(os.Signal), hurry func()) {
	stopping := false
	for {
		select {
		case <-over:
			return
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
				log.Warn().Str(logging.FieldDetail, "nothing is reloaded or reopened by it yet; restart the manager to apply changes").
					Str(logging.FieldSignal, "SIGHUP").Msg("signal ignored")
			case !stopping:
				stopping = true
				stop(s)
			default:
				hurry()
			}
		}
	}
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
