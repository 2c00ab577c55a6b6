package manager

import (
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// PoolRolls says that the first worker of changed code, or other settings that a running
// worker cannot take, works, and the others are replaced one after another.
type PoolRolls struct {
	Pool    string
	Why     []string // what has changed
	Workers int      // that are still to be replaced
}

// PoolRollFailed says that it does not work, and the old workers go on.
type PoolRollFailed struct {
	Pool string
	Why  []string
	Err  error
}

// PoolChanged says that a reload changes a pool, adds or removes it.
type PoolChanged struct {
	Pool string
	What []string // for people
}

// Reloaded says that config and programs were looked at because somebody asked for it or
// something has changed. [PoolChanged] has told what is done, [ProblemFound] what is wrong.
type Reloaded struct {
	Reason  string // "the config has changed", "asked for", "SIGHUP"
	Changes int    // pools
}

// ChangedByHand says that an operator has scaled, paused, drained or resumed something. Who it
// was is known to the control socket.
type ChangedByHand struct {
	Action string   // "scale", "pause", "drain" or "resume"
	Names  []string // functions, or shared pools
}

// ConfigRefused says that the config has errors by now, and the one before holds.
type ConfigRefused struct{ Problems []config.Problem }

// ConfigAccepted says that a config that was refused has been mended.
type ConfigAccepted struct{}

// ProblemGone says that something that was wrong is so no more.
type ProblemGone struct{ Problem config.Problem }

// ServersChanged says that the list of job servers is another.
type ServersChanged struct{ Added, Removed []string }

// ScaleEnded says that a number of slots set by hand holds no more, since the config has
// changed.
type ScaleEnded struct{ Functions []string }

// WatchLost says that changes are not told but only looked for, or cannot be watched in
// part.
type WatchLost struct{ Err error }

// JobSlow says that a job has taken longer than its function's slow.
type JobSlow struct {
	Worker   string
	PID      int
	Function string
	Server   string
	Handle   string
	Unique   string // the client's name for it
	Took     time.Duration
	Workload int64 // bytes
	Failed   bool
}

// RunInPlace says that plugins run from where they lie, since no private copies of them
// can be kept.
type RunInPlace struct{ Err error }

// Name implements Event.
func (RunInPlace) Name() string { return "run_in_place" }

// About implements Event.
func (e RunInPlace) About() About { return About{}.because(errorText(e.Err)) }

func (e RunInPlace) log(log zerolog.Logger) {
	log.Warn().AnErr(zerolog.ErrorFieldName, e.Err).
		Str(logging.FieldDetail, "a plugin can only be replaced by moving a new file over it; set state_dir to a directory of this user on a file system that programs can be run from").
		Msg("plugins run in place")
}

// Name implements Event.
func (JobSlow) Name() string { return "job_slow" }

// Name implements Event.
func (PoolRolls) Name() string { return "pool_rolls" }

// Name implements Event.
func (PoolRollFailed) Name() string { return "pool_roll_failed" }

// Name implements Event.
func (PoolChanged) Name() string { return "pool_changed" }

// Name implements Event.
func (Reloaded) Name() string { return "reloaded" }

// Name implements Event.
func (ChangedByHand) Name() string { return "changed_by_hand" }

// Name implements Event.
func (ConfigRefused) Name() string { return "config_refused" }

// Name implements Event.
func (ConfigAccepted) Name() string { return "config_accepted" }

// Name implements Event.
func (ProblemGone) Name() string { return "problem_gone" }

// Name implements Event.
func (ServersChanged) Name() string { return "servers_changed" }

// Name implements Event.
func (ScaleEnded) Name() string { return "scale_ended" }

// Name implements Event.
func (WatchLost) Name() string { return "watch_lost" }

// About implements Event.
func (e JobSlow) About() About {
	return aboutWorker(e.Worker, e.PID).at(e.Function, e.Server, e.Handle)
}

// About implements Event.
func (e PoolRolls) About() About { return About{Pool: e.Pool}.because(strings.Join(e.Why, ", ")) }

// About implements Event.
func (e PoolRollFailed) About() About { return About{Pool: e.Pool}.because(errorText(e.Err)) }

// About implements Event.
func (e PoolChanged) About() About { return About{Pool: e.Pool}.because(strings.Join(e.What, ", ")) }

// About implements Event.
func (e Reloaded) About() About { return About{}.because(e.Reason) }

// About implements Event.
func (e ChangedByHand) About() About {
	a := About{}.because(e.Action)
	if len(e.Names) == 1 {
		a.Function = e.Names[0]
	}
	return a
}

// About implements Event.
func (e ConfigRefused) About() About {
	for _, p := range e.Problems {
		if p.Severity == config.Error {
			return About{}.because(p.String())
		}
	}
	return About{}
}

// About implements Event.
func (ConfigAccepted) About() About { return About{} }

// About implements Event.
func (e ProblemGone) About() About { return About{}.because(e.Problem.Message) }

// About implements Event.
func (e ServersChanged) About() About { return About{} }

// About implements Event.
func (e ScaleEnded) About() About { return About{}.because(strings.Join(e.Functions, ", ")) }

// About implements Event.
func (e WatchLost) About() About { return About{}.because(errorText(e.Err)) }

func (e JobSlow) log(log zerolog.Logger) {
	detail := ""
	if e.Failed {
		detail = "it failed"
	}
	log.Warn().Func(who(e)).Str(logging.FieldFunction, e.Function).Str(logging.FieldServer, e.Server).Str(logging.FieldHandle, e.Handle).
		Func(func(line *zerolog.Event) {
			text(line, logging.FieldUnique, e.Unique)
			text(line, logging.FieldDetail, detail)
		}).
		Int64(logging.FieldTook, e.Took.Milliseconds()).Int64(logging.FieldWorkload, e.Workload).Msg("slow job")
}

// What a reload does is said at every verbosity.
func (e PoolRolls) log(log zerolog.Logger) {
	log = always(log)
	message := "first new worker works, the others follow"
	if e.Workers == 0 {
		message = "new worker works"
	}
	log.Info().Func(who(e)).Int(logging.FieldWorkers, e.Workers).Str(logging.FieldReason, strings.Join(e.Why, ", ")).
		Msg(message)
}

func (e PoolRollFailed) log(log zerolog.Logger) {
	log.Error().Func(who(e)).AnErr(zerolog.ErrorFieldName, e.Err).Str(logging.FieldReason, strings.Join(e.Why, ", ")).
		Str(logging.FieldDetail, "the old workers go on; the next change is tried").Msg("new worker does not work")
}

func (e PoolChanged) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Func(who(e)).Str(logging.FieldDetail, strings.Join(e.What, ", ")).Msg("pool changes")
}

func (e Reloaded) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Str(logging.FieldReason, e.Reason).Int(logging.FieldPools, e.Changes).Msg("reloaded")
}

// It is logged with who did it by the control socket.
func (e ChangedByHand) log(log zerolog.Logger) {
	log.Debug().Str(logging.FieldReason, e.Action).Str(logging.FieldDetail, strings.Join(e.Names, ", ")).Msg("changed by hand")
}

func (e ConfigRefused) log(log zerolog.Logger) {
	for _, p := range e.Problems {
		ProblemFound{p}.log(log)
	}
	log.Error().Str(logging.FieldDetail, "the fleet goes on with the config before; it is read again when it changes").Msg("config refused")
}

func (e ConfigAccepted) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Msg("config has been mended")
}

func (e ProblemGone) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Str(logging.FieldDetail, e.Problem.Message).Msg("problem is gone")
}

func (e ServersChanged) log(log zerolog.Logger) {
	log = always(log)
	line := log.Info()
	text(line, logging.FieldDetail, serversInWords(e.Added, e.Removed))
	line.Msg("job servers change")
}

func serversInWords(added, removed []string) string {
	var words []string
	for _, s := range added {
		words = append(words, "new: "+s)
	}
	for _, s := range removed {
		words = append(words, "to be left: "+s)
	}
	return strings.Join(words, ", ")
}

func (e ScaleEnded) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Str(logging.FieldDetail, "the config has changed and holds again for: "+strings.Join(e.Functions, ", ")).Msg("scale set by hand ended")
}

func (e WatchLost) log(log zerolog.Logger) {
	log.Warn().AnErr(zerolog.ErrorFieldName, e.Err).Str(logging.FieldDetail, "changes are looked for every 30 s only").Msg("changes are not watched")
}
