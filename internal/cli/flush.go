package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// flushGrace is how long the last log lines of a fleet that has ended may take. An
// output that takes none, such as a pipe to a program that hangs, does not keep the
// program from ending.
const flushGrace = 2 * time.Second

// queued makes the logger of a command that must not wait for its log. flush has to be
// called when nothing is logged any more.
func (l *logFlags) queued(ctx context.Context, out io.Writer, verbosity int) (log zerolog.Logger, flush func(), err error) {
	log, queue, err := logging.NewAsync(logging.Config{Out: out, Format: logging.Format(l.format), Verbosity: verbosity})
	if err != nil {
		return log, nil, &usageError{problem: err.Error()}
	}
	return log, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
		defer cancel()
		_ = queue.Close(ctx) // there is nowhere left to say that lines are lost
	}, nil
}

// logOutput is where a fleet logs.
type logOutput struct {
	log   zerolog.Logger
	file  *logging.File // nil: standard error
	flush func()
}

// syslogName is the log_file that is none.
const syslogName = "syslog"

// open makes the log that the config names.
func (l *logFlags) open(ctx context.Context, std *streams, cfg *config.Config) (_ *logOutput, err error) {
	out, to := &logOutput{}, std.err
	switch path := cfg.LogFile(); path {
	case "", syslogName: // the config warns of what is not there yet
	default:
		out.file, err = logging.OpenFile(path, func(err error) {
			_, _ = fmt.Fprintf(std.err, "%s: %v; the log goes on in the file that was open\n", programName, err)
		})
		if err != nil {
			return nil, err
		}
		to = out.file
	}
	if out.log, out.flush, err = l.queued(ctx, to, cfg.Verbose()); err != nil {
		if out.file != nil {
			_ = out.file.Close() // nothing was written
		}
		return nil, err
	}
	return out, nil
}

// problemOf is a warning at a value of the config.
func problemOf(cfg *config.Config, key, message string) config.Problem {
	at := cfg.Origin(config.GlobalSection, key)
	return config.Problem{
		File: at.File, Line: at.Line, Section: at.Section, Key: key, Flag: at.Flag, Severity: config.Warning, Message: message,
	}
}

// reopen has the next line written to a new file, where it is one, and says so there.
func (o *logOutput) reopen(signal string) {
	log := loud(o.log)
	if o.file == nil {
		log.Info().Str(logging.FieldSignal, signal).Str(logging.FieldDetail, "the log is no file, so there is none to open anew").Msg("signal received")
		return
	}
	o.file.Reopen()
	log.Info().Str(logging.FieldSignal, signal).Str(logging.FieldFile, o.file.Path()).Msg("log file opened anew")
}

// close writes the last lines.
func (o *logOutput) close() {
	o.flush()
	if o.file != nil {
		_ = o.file.Close() // each line was written when it came
	}
}

// loud is a logger that writes lines of level info at every verbosity: those of what
// people do to the fleet.
func loud(log zerolog.Logger) zerolog.Logger {
	if log.GetLevel() > zerolog.InfoLevel && log.GetLevel() != zerolog.Disabled {
		return log.Level(zerolog.InfoLevel)
	}
	return log
}
