package manager

import (
	"strings"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
)

// manyFailures is how many starts in a row have to fail until somebody has to
// act: so many are no accident.
const manyFailures = 3

func (e ProblemFound) log(log zerolog.Logger) {
	p := e.Problem
	line := log.Warn()
	if p.Severity == config.Error {
		line = log.Error()
	}
	if p.File != "" {
		line = line.Str(keyFile, p.File)
	}
	if p.Line > 0 {
		line = line.Int(keyLine, p.Line)
	}
	if p.Section != "" {
		line = line.Str(keySection, p.Section).Str(keyKey, p.Key)
	}
	line.Str(keyDetail, p.Message).Msg("problem found")
}

func (e FleetStarted) log(log zerolog.Logger) {
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
	line := log.Info().Str(keyWorker, e.Worker).Int(keyPID, e.PID)
	if e.Version != "" {
		line = line.Str(keyVersion, e.Version)
	}
	line.Dur(keyTook, e.Took).Msg("worker ready")
}

func (e StartFailed) log(log zerolog.Logger) {
	line := log.Warn()
	if e.Failures >= manyFailures {
		line = log.Error()
	}
	line.Str(keyWorker, e.Worker).Err(e.Err).Int(keyFailures, e.Failures).Dur(keyWait, e.Wait).Msg("worker did not start")
}

func (e WorkerRetiring) log(log zerolog.Logger) {
	line := log.Info().Str(keyWorker, e.Worker).Int(keyPID, e.PID).Str(keyReason, e.Reason)
	if e.Detail != "" {
		line = line.Str(keyDetail, e.Detail)
	}
	line.Msg("worker retires")
}

func (e WorkerKilled) log(log zerolog.Logger) {
	log.Warn().Str(keyWorker, e.Worker).Int(keyPID, e.PID).Str(keyReason, e.Reason).Str(keyDetail, e.Detail).
		Msg("worker killed")
}

func (e WorkerExited) log(log zerolog.Logger) {
	line, message := log.Info(), "worker left"
	if e.Crashed() {
		line, message = log.Warn(), "worker crashed"
	}
	line = line.Str(keyWorker, e.Worker).Int(keyPID, e.PID).Str(keyExit, e.Exit.String())
	if e.Exit.Signal != 0 {
		line = line.Int(keySignal, int(e.Exit.Signal))
	} else {
		line = line.Int(keyExitCode, e.Exit.Code)
	}
	if e.Retired != "" {
		line = line.Str(keyReason, e.Retired)
	}
	if e.Killed != "" {
		line = line.Str(keyKilled, e.Killed)
	}
	if e.Stream != "" {
		line = line.Str(keyDetail, e.Stream)
	}
	if len(e.InHand) > 0 {
		line = line.Strs(keyJobs, e.handles())
	}
	if len(e.Tail) > 0 {
		line = line.Str(keyStderr, strings.Join(e.Tail, "\n"))
	}
	line.Dur(keyUptime, e.Uptime).Uint64(keyDone, e.Done).Uint64(keyFailed, e.Failed).Dur(keyWait, e.Wait).Msg(message)
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

func (e ServerReached) log(log zerolog.Logger) {
	log.Info().Str(keyAddress, e.Server).Dur(keyAfter, e.After).Msg("job server is reachable again")
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
	line := log.Info()
	if e.Err != nil {
		line = log.Error().Err(e.Err)
	}
	line.Str(keyWorker, e.Worker).Int(keyPID, e.PID).Bool(keyKilled, e.Killed).Msg("worker of an earlier manager ended")
}

func (e OrphanReaped) log(log zerolog.Logger) {
	log.Debug().Int(keyPID, e.Exit.PID).Str(keyExit, e.Exit.String()).Msg("orphan ended")
}

func (e FleetStopping) log(log zerolog.Logger) {
	log.Info().Int(keyWorkers, e.Workers).Int(keyHurry, e.Hurry).Msg("fleet stops")
}

func (e FleetStopped) log(log zerolog.Logger) {
	log.Info().Dur(keyTook, e.Took).Msg("fleet stopped")
}
