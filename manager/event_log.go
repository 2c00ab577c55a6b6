package manager

import (
	"strings"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
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
		text(line, keyFile, p.File)
		if p.Line > 0 {
			line.Int(keyLine, p.Line)
		}
		text(line, keySection, p.Section)
		text(line, keyKey, p.Key)
	}).Str(keyDetail, p.Message).Msg("problem found")
}

func (e FleetStarted) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Int(keyPools, e.Pools).Int(keyWorkers, e.Workers).Int(keySlots, e.Slots).
		Strs(keyServers, e.Servers).Str(keyDir, e.Dir).Msg("fleet started")
}

func (e PoolNotRun) log(log zerolog.Logger) {
	log.Warn().Str(keyPool, e.Pool).Str(keyKind, string(e.Kind)).Int(keySlots, e.Slots).
		Msg("workers of this kind are not run yet")
}

func (e WorkerStarted) log(log zerolog.Logger) {
	log.Debug().Str(keyWorker, e.Worker).Int(keyPID, e.PID).Str(keyProgram, e.Program).Msg("worker started")
}

func (e WorkerReady) log(log zerolog.Logger) {
	log.Info().Str(keyWorker, e.Worker).Int(keyPID, e.PID).
		Func(func(line *zerolog.Event) { text(line, keyVersion, e.Version) }).
		Dur(keyTook, e.Took).Msg("worker ready")
}

func (e StartFailed) log(log zerolog.Logger) {
	level := zerolog.WarnLevel
	if e.Failures >= manyFailures {
		level = zerolog.ErrorLevel
	}
	log.WithLevel(level).Str(keyWorker, e.Worker).Err(e.Err).Int(keyFailures, e.Failures).Dur(keyWait, e.Wait).
		Msg("worker did not start")
}

func (e WorkerRetiring) log(log zerolog.Logger) {
	log.Info().Str(keyWorker, e.Worker).Int(keyPID, e.PID).Str(keyReason, e.Reason).
		Func(func(line *zerolog.Event) { text(line, keyDetail, e.Detail) }).Msg("worker retires")
}

func (e WorkerKilled) log(log zerolog.Logger) {
	log.Warn().Str(keyWorker, e.Worker).Int(keyPID, e.PID).Str(keyReason, e.Reason).Str(keyDetail, e.Detail).
		Msg("worker killed")
}

func (e WorkerExited) log(log zerolog.Logger) {
	level, message := zerolog.InfoLevel, "worker left"
	if e.Crashed() {
		level, message = zerolog.WarnLevel, "worker crashed"
	}
	log.WithLevel(level).Str(keyWorker, e.Worker).Int(keyPID, e.PID).Func(e.fields).Dur(keyUptime, e.Uptime).
		Uint64(keyDone, e.Done).Uint64(keyFailed, e.Failed).Msg(message)
}

// fields adds what is not known of every exit.
func (e WorkerExited) fields(line *zerolog.Event) {
	line.Str(keyExit, e.Exit.String())
	if e.Exit.Signal != 0 {
		line.Int(keySignal, int(e.Exit.Signal))
	} else {
		line.Int(keyExitCode, e.Exit.Code)
	}
	text(line, keyReason, e.Retired)
	text(line, keyKilled, e.Killed)
	text(line, keyDetail, e.Stream)
	if e.Wait > 0 {
		line.Dur(keyWait, e.Wait)
	}
	if len(e.InHand) > 0 {
		line.Strs(keyJobs, e.handles())
	}
	text(line, keyStderr, strings.Join(e.Tail, "\n"))
}

// handles says which jobs were in hand.
func (e WorkerExited) handles() []string {
	var out []string
	for _, j := range e.InHand {
		out = append(out, j.Function+" "+j.Server+" "+j.Handle)
	}
	return out
}

func (e JobSuspected) log(log zerolog.Logger) {
	message := "job is suspect"
	if e.Fail {
		message = "job is not run again"
	}
	log.Warn().Str(keyFunction, e.Function).Str(keyAddress, e.Server).Str(keyHandle, e.Handle).
		Int(keyAttempts, e.Attempts).Str(keyCause, e.Cause).Msg(message)
}

func (e JobUndelivered) log(log zerolog.Logger) {
	log.Warn().Str(keyWorker, e.Worker).Str(keyFunction, e.Function).Str(keyAddress, e.Server).Str(keyHandle, e.Handle).
		Str(keyDetail, e.Err).Msg("answer of a job did not reach its server")
}

func (e ServerLost) log(log zerolog.Logger) {
	log.Warn().Str(keyAddress, e.Server).Str(keyDetail, e.Err).Msg("job server is not reachable")
}

func (e ServerStillLost) log(log zerolog.Logger) {
	log.Warn().Str(keyAddress, e.Server).Str(keyDetail, e.Err).Dur(keyAfter, e.Since).Msg("job server is still not reachable")
}

// A server that is back is said as loudly as that it was lost.
func (e ServerReached) log(log zerolog.Logger) {
	log.Warn().Str(keyAddress, e.Server).Dur(keyAfter, e.After).Msg("job server is reachable again")
}

func (e SlotConnected) log(log zerolog.Logger) {
	log.Debug().Str(keyWorker, e.Worker).Int(keySlot, e.Slot).Str(keyAddress, e.Server).Msg("slot registered")
}

func (e SlotLost) log(log zerolog.Logger) {
	log.Debug().Str(keyWorker, e.Worker).Int(keySlot, e.Slot).Str(keyAddress, e.Server).Str(keyDetail, e.Err).
		Msg("slot lost its server")
}

func (e LeftoverFound) log(log zerolog.Logger) {
	log.Warn().Str(keyWorker, e.Worker).Int(keyPID, e.PID).Dur(keyGrace, e.Grace).Msg("worker of an earlier manager found")
}

func (e LeftoverEnded) log(log zerolog.Logger) {
	level := zerolog.InfoLevel
	if e.Err != nil {
		level = zerolog.ErrorLevel
	}
	log.WithLevel(level).Str(keyWorker, e.Worker).Int(keyPID, e.PID).Bool(keyKilled, e.Killed).AnErr(zerolog.ErrorFieldName, e.Err).
		Msg("worker of an earlier manager ended")
}

func (e OrphanReaped) log(log zerolog.Logger) {
	log.Debug().Int(keyPID, e.Exit.PID).Str(keyExit, e.Exit.String()).Msg("orphan ended")
}

func (e InternalError) log(log zerolog.Logger) {
	log.Error().Str(keyWhere, e.Where).Str(keyDetail, e.Panic).Str(keyCause, e.Stack).Msg("internal error")
}

func (e FleetStopping) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Int(keyWorkers, e.Workers).Int(keyHurry, e.Hurry).Msg("fleet stops")
}

func (e FleetStopped) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Dur(keyTook, e.Took).Msg("fleet stopped")
}
