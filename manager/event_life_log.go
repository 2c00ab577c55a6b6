package manager

import (
	"cmp"
	"time"

	"github.com/kballard/go-shellquote"
	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

func (e StandbyReady) log(log zerolog.Logger) {
	log.Debug().Func(who(e)).Dur(logging.FieldTook, e.Took.Round(time.Millisecond)).Msg("standby ready")
}

func (e WorkerPromoted) log(log zerolog.Logger) {
	log.Debug().Func(who(e)).Str(logging.FieldInstead, e.Instead).Str(logging.FieldReason, e.Reason).Msg("standby promoted")
}

// The line says what to do, since nothing happens by itself any more.
func (e PoolFailed) log(log zerolog.Logger) {
	log.Error().Func(who(e)).AnErr(zerolog.ErrorFieldName, e.Err).Int(logging.FieldFailures, e.Failures).
		Str(logging.FieldDetail, "none of its workers is started any more; mend the program: it is tried again when its file changes, or by: gearman-manager retry "+shellquote.Join(e.Pool)).
		Msg("pool has failed")
}

// That a pool is back is said as loudly as that it failed.
func (e PoolRetried) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Str(logging.FieldReason, e.Reason).Msg("failed pool is tried again")
}

func (e WorkerStopped) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Dur(logging.FieldGrace, cmp.Or(e.Grace, stoppedGrace)).
		Str(logging.FieldDetail, "a signal has stopped it; it is killed unless it is continued").Msg("worker stopped")
}

func (e WorkerContinued) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Msg("worker continued")
}

func (e LinesDropped) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Str(logging.FieldStream, e.Stream).Int(logging.FieldLines, e.Lines).
		Str(logging.FieldDetail, "it prints faster than its lines can be logged").Msg("lines of a worker dropped")
}

func (e Lagged) log(log zerolog.Logger) {
	log.Debug().Int(logging.FieldMissed, e.Missed).Msg("reader of events missed some")
}
