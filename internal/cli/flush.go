package cli

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// flushGrace is how long the last log lines of a fleet that has ended may take. An
// output that takes none, such as a pipe to a program that hangs, does not keep the
// program from ending.
const flushGrace = 2 * time.Second

// queued makes the logger of a command that must not wait for its log. flush has to be
// called when nothing is logged any more.
func (l *logFlags) queued(ctx context.Context, std *streams, verbosity int) (log zerolog.Logger, flush func(), err error) {
	log, queue, err := logging.NewAsync(logging.Config{Out: std.err, Format: logging.Format(l.format), Verbosity: verbosity})
	if err != nil {
		return log, nil, &usageError{problem: err.Error()}
	}
	return log, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
		defer cancel()
		_ = queue.Close(ctx) // there is nowhere left to say that lines are lost
	}, nil
}
