package manager

import (
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// manyFailures is how many starts in a row have to fail until somebody has to
// act: so many are no accident.
const manyFailures = 3

// always is a logger for what is said at every verbosity: that the fleet comes and
// goes.
func always(log zerolog.Logger) zerolog.Logger {
	if level := log.GetLevel(); level <= zerolog.InfoLevel || level == zerolog.Disabled {
		return log
	}
	return log.Level(zerolog.InfoLevel)
}

// text adds a field unless it is empty.
func text(line *zerolog.Event, key, value string) {
	if value != "" {
		line.Str(key, value)
	}
}

func (e ProblemFound) log(log zerolog.Logger) {
	level, p := zerolog.WarnLevel, e.Problem
	if p.Severity == config.Error {
		level = zerolog.ErrorLevel
	}
	log.WithLevel(level).Func(func(line *zerolog.Event) {
		text(line, logging.FieldFile, p.File)
		if p.Line > 0 {
			line.Int(logging.FieldLine, p.Line)
		}
		text(line, logging.FieldSection, p.Section)
		text(line, logging.FieldKey, p.Key)
	}).Str(logging.FieldDetail, p.Message).Msg("problem found")
}

func (e FleetStarted) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Int(logging.FieldPools, e.Pools).Int(logging.FieldWorkers, e.Workers).Int(logging.FieldSlots, e.Slots).
		Strs(logging.FieldServers, e.Servers).Str(logging.FieldDir, e.Dir).Msg("fleet started")
}

func (e PoolNotRun) log(log zerolog.Logger) {
	if e.Err != nil {
		log.Error().Func(who(e)).Str(logging.FieldKind, string(e.Kind)).Int(logging.FieldSlots, e.Slots).Err(e.Err).
			Msg("workers cannot be run")
		return
	}
	log.Warn().Func(who(e)).Str(logging.FieldKind, string(e.Kind)).Int(logging.FieldSlots, e.Slots).
		Msg("workers of this kind are not run yet")
}

func (e PHPFound) log(log zerolog.Logger) {
	log.Info().Str(logging.FieldProgram, e.Path).Str(logging.FieldVersion, e.Version).Bool(logging.FieldFork, e.Fork).Bool(logging.FieldOpcache, e.Opcache).
		Msg("php found")
}

func (e WorkerStarted) log(log zerolog.Logger) {
	log.Debug().Func(who(e)).Str(logging.FieldProgram, e.Program).Msg("worker started")
}

func (e WorkerReady) log(log zerolog.Logger) {
	log.Info().Func(who(e)).
		Func(func(line *zerolog.Event) { text(line, logging.FieldVersion, e.Version) }).
		Dur(logging.FieldTook, e.Took.Round(time.Millisecond)).Msg("worker ready")
}

func (e StartFailed) log(log zerolog.Logger) {
	level := zerolog.WarnLevel
	if e.Failures >= manyFailures {
		level = zerolog.ErrorLevel
	}
	log.WithLevel(level).Func(who(e)).Err(e.Err).Int(logging.FieldFailures, e.Failures).Func(func(line *zerolog.Event) {
		if !e.Final {
			line.Dur(logging.FieldNextTry, e.Wait.Round(time.Millisecond))
		}
	}).Msg("worker did not start")
}

func (e WorkerRetiring) log(log zerolog.Logger) {
	log.Info().Func(who(e)).Str(logging.FieldReason, e.Reason).
		Func(func(line *zerolog.Event) { text(line, logging.FieldDetail, e.Detail) }).Msg("worker retires")
}

func (e WorkerKilled) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Str(logging.FieldReason, e.Reason).Str(logging.FieldDetail, e.Detail).
		Msg("worker killed")
}

func (e JobSuspected) log(log zerolog.Logger) {
	message := "job is suspect"
	if e.Fail {
		message = "job is not run again"
	}
	log.Warn().Func(who(e)).Str(logging.FieldFunction, e.Function).Str(logging.FieldServer, e.Server).Str(logging.FieldHandle, e.Handle).
		Int(logging.FieldAttempts, e.Attempts).Str(logging.FieldCause, e.Cause).Msg(message)
}

func (e JobUndelivered) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Str(logging.FieldFunction, e.Function).Str(logging.FieldServer, e.Server).Str(logging.FieldHandle, e.Handle).
		Str(logging.FieldDetail, e.Err).Msg("answer of a job did not reach its server")
}

// connError is the text of an error without the address, which the line says in a
// field of its own, and with the end of a connection in words.
func connError(server, text string) string {
	for _, prefix := range []string{"connect to job server " + server + ": ", "dial tcp " + server + ": ", "connect: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if text == "EOF" {
		return "the other side closed the connection"
	}
	return text
}

func (e ServerLost) log(log zerolog.Logger) {
	log.Warn().Str(logging.FieldServer, e.Server).Str(logging.FieldDetail, connError(e.Server, e.Err)).Msg("job server is not reachable")
}

func (e ServerStillLost) log(log zerolog.Logger) {
	log.Warn().Str(logging.FieldServer, e.Server).Str(logging.FieldDetail, connError(e.Server, e.Err)).Dur(logging.FieldAfter, e.Since.Round(time.Millisecond)).Msg("job server is still not reachable")
}

// A server that is back is said as loudly as that it was lost.
func (e ServerReached) log(log zerolog.Logger) {
	log.Warn().Str(logging.FieldServer, e.Server).Dur(logging.FieldAfter, e.After.Round(time.Millisecond)).Msg("job server is reachable again")
}

func (e SlotConnected) log(log zerolog.Logger) {
	log.Debug().Func(who(e)).Int(logging.FieldSlot, e.Slot).Str(logging.FieldServer, e.Server).Msg("slot registered")
}

func (e SlotLost) log(log zerolog.Logger) {
	log.Debug().Func(who(e)).Int(logging.FieldSlot, e.Slot).Str(logging.FieldServer, e.Server).Str(logging.FieldDetail, connError(e.Server, e.Err)).
		Msg("slot lost its server")
}

func (e LeftoverFound) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Dur(logging.FieldGrace, e.Grace.Round(time.Millisecond)).Msg("worker of an earlier manager found")
}

func (e LeftoverEnded) log(log zerolog.Logger) {
	level := zerolog.InfoLevel
	if e.Err != nil {
		level = zerolog.ErrorLevel
	}
	log.WithLevel(level).Func(who(e)).Bool(logging.FieldKilled, e.Killed).AnErr(zerolog.ErrorFieldName, e.Err).
		Msg("worker of an earlier manager ended")
}

func (e OrphanReaped) log(log zerolog.Logger) {
	log.Debug().Func(who(e)).Str(logging.FieldExit, e.Exit.String()).Msg("orphan ended")
}

func (e InternalError) log(log zerolog.Logger) {
	log.Error().Func(who(e)).Str(logging.FieldWhere, e.Where).Str(logging.FieldDetail, e.Panic).Str(logging.FieldCause, e.Stack).Msg("internal error")
}

func (e FleetStopping) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Int(logging.FieldWorkers, e.Workers).Func(func(line *zerolog.Event) {
		if e.Hurry > 0 {
			line.Int(logging.FieldHurry, e.Hurry)
		}
	}).Msg("fleet stops")
}

func (e FleetStopped) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Dur(logging.FieldTook, e.Took.Round(time.Millisecond)).Msg("fleet stopped")
}
