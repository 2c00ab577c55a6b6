package manager

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// oomDetail is said of a worker that the kernel killed.
const oomDetail = "the kernel killed it because memory was short"

// retireMemory is the reason of a worker that retires because it has grown too large.
const retireMemory = "max_memory"

// unknownCount stands in a line for a number of jobs that is not known.
const unknownCount = "unknown"

// log says everything about an end in one line. That of a worker that the manager
// killed is no warning any more: WorkerKilled was.
func (e WorkerExited) log(log zerolog.Logger) {
	level, message := zerolog.InfoLevel, "worker left"
	switch e.Class() {
	case ExitCrash:
		level, message = zerolog.WarnLevel, "worker crashed"
	case ExitKilled:
		message = "killed worker ended"
	}
	log.WithLevel(level).Func(who(e)).Func(e.end).Dur(logging.FieldUptime, e.Uptime.Round(time.Millisecond)).
		Func(e.jobs).Func(e.next).Func(func(line *zerolog.Event) { text(line, logging.FieldStderr, strings.Join(e.Tail, "\n")) }).Msg(message)
}

// reason is why it ended.
func (e WorkerExited) reason() string {
	switch {
	case e.OOM && e.Killed == "":
		return "oom"
	case e.Class() == ExitCrash:
		return e.Exit.String()
	default:
		return cmp.Or(e.Killed, e.Retired)
	}
}

// end adds how it ended, and why.
func (e WorkerExited) end(line *zerolog.Event) {
	line.Str(logging.FieldExit, e.Exit.String())
	if e.Exit.Signal != 0 {
		line.Int(logging.FieldSignal, int(e.Exit.Signal))
	} else {
		line.Int(logging.FieldExitCode, e.Exit.Code)
	}
	if e.OOM {
		line.Bool(logging.FieldOOM, true)
	}
	text(line, logging.FieldReason, e.Retired)
	text(line, logging.FieldKilled, e.Killed)
	detail := e.Stream
	if e.OOM {
		detail = oomDetail
	}
	text(line, logging.FieldDetail, detail)
	if rss := cmp.Or(e.RSS, e.Exit.MaxRSS); rss > 0 && (e.Class() != ExitPlanned || e.Retired == retireMemory) {
		line.Int64(logging.FieldRSS, rss)
	}
}

// jobs adds what it has done, and what it had in hand.
func (e WorkerExited) jobs(line *zerolog.Event) {
	if e.CountsUnknown {
		line.Str(logging.FieldDone, unknownCount).Str(logging.FieldFailed, unknownCount)
	} else {
		line.Uint64(logging.FieldDone, e.Done).Uint64(logging.FieldFailed, e.Failed)
	}
	if len(e.InHand) > 0 {
		line.Strs(logging.FieldJobs, e.handles())
	}
}

// handles says which jobs were in hand, and for how long.
func (e WorkerExited) handles() []string {
	var out []string
	for _, j := range e.InHand {
		out = append(out, fmt.Sprintf("%s %s on %s for %v", j.Function, j.Handle, j.Server, j.Since.Round(time.Millisecond)))
	}
	return out
}

// next adds when a successor is started. After an end that was not planned it is
// always said, also that it is at once.
func (e WorkerExited) next(line *zerolog.Event) {
	switch {
	case e.Final:
	case e.ReplacedBy != "":
		line.Str(logging.FieldReplacedBy, e.ReplacedBy)
	case e.Wait > 0 || e.Class() != ExitPlanned:
		line.Dur(logging.FieldNextTry, e.Wait.Round(time.Millisecond))
	}
}
