package manager

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"

	"github.com/gearman-manager/gearman-manager/config"
)

// whyPools explains a function that pools perform.
func (in whyInput) whyPools(pools []PoolStatus) (reasons []Reason) {
	able := slices.ContainsFunc(pools, in.able)
	for _, p := range in.problems() {
		if p.Severity == config.Error {
			reasons = append(reasons, Reason{ReasonProblem, p.String(), false})
		}
	}
	for _, why := range []func(PoolStatus) (ReasonCode, string){in.whyGone, in.whyHeld, in.whyNoWorker, in.whyNotReady} {
		for _, p := range pools {
			if code, message := why(p); code != "" {
				if len(pools) > 1 {
					message = "pool " + p.Name + ": " + message
				}
				reasons = append(reasons, Reason{code, message, !able})
			}
		}
	}
	reasons = append(reasons, in.whyServers()...)
	if able {
		reasons = append(reasons, in.whyBusy(pools)...)
	}
	reasons = append(reasons, in.whyQuarantine()...)
	reasons = append(reasons, in.whyChanging(pools)...)
	return append(reasons, in.whyQueue()...)
}

// able tells whether a pool takes jobs of the function, if there is room.
func (in whyInput) able(p PoolStatus) bool {
	for _, why := range []func(PoolStatus) (ReasonCode, string){in.whyGone, in.whyHeld, in.whyNoWorker, in.whyNotReady} {
		if code, _ := why(p); code != "" {
			return false
		}
	}
	return true
}

// typed is what people type.
func typed(verb, of string) string { return "gearman-manager " + verb + " " + shellquote.Join(of) }

// whyGone is why a pool has no business with the function any more, or cannot be run.
func (in whyInput) whyGone(p PoolStatus) (ReasonCode, string) {
	switch {
	case p.Leaving:
		return ReasonRemoved, "it was taken out of the config or its program is gone; " + workersWord(p.Workers) + " left that finish their jobs"
	case !p.Runs:
		return ReasonNotRun, fmt.Sprintf("workers of kind %s cannot be run here; the log says why", p.Kind)
	default:
		return "", ""
	}
}

// whyHeld is what somebody has set by hand, or in the config.
func (in whyInput) whyHeld(p PoolStatus) (ReasonCode, string) {
	switch {
	case slices.Contains(p.Drained, in.function):
		return ReasonDrained, "it was drained by hand; to go on: " + typed("resume", in.function)
	case slices.Contains(p.Paused, in.function):
		return ReasonPaused, "it was paused by hand; to go on: " + typed("resume", in.function)
	case p.Slots == 0 && p.Scaled:
		return ReasonNoSlots, "it was scaled to 0 by hand; for more: " + typed("scale", p.Name+"=1")
	case p.Slots == 0:
		return ReasonNoSlots, "the config plans no workers for it"
	default:
		return "", ""
	}
}

// whyNoWorker is why workers do not start.
func (in whyInput) whyNoWorker(p PoolStatus) (ReasonCode, string) {
	last := lastExit(p.Workers)
	switch {
	case slices.ContainsFunc(p.Workers, worksNow):
		return "", ""
	case p.GaveUp:
		return ReasonFailed, fmt.Sprintf("after %s in a row none of its workers is started any more%s; to try again: %s",
			countWord(p.Failures, "failed start", "failed starts"), last, typed("retry", p.Name))
	case p.Failures > 0:
		next := "soon"
		if wait := p.NextTry.Sub(in.fleet.At).Round(100 * time.Millisecond); wait > 0 {
			next = "in " + wait.String()
		}
		return ReasonBackoff, fmt.Sprintf("its workers do not start: %s in a row%s; the next try is %s",
			countWord(p.Failures, "failed start", "failed starts"), last, next)
	default:
		return "", ""
	}
}

// whyNotReady is why workers that there are take nothing yet.
func (in whyInput) whyNotReady(p PoolStatus) (ReasonCode, string) {
	stopped := 0
	for _, w := range p.Workers {
		switch {
		case w.Stopped:
			stopped++
		case worksNow(w):
			return "", ""
		}
	}
	switch {
	case p.Slots == 0 || !p.Runs || p.Leaving:
		return "", "" // there are to be none
	case stopped > 0:
		return ReasonStopped, "a signal has stopped its workers; they are killed unless they are continued"
	case p.Failures > 0:
		return "", "" // which says more
	default:
		return ReasonStarting, "none of its workers is ready yet"
	}
}

// worksNow tells whether a worker takes jobs from any server that can be reached.
func worksNow(w WorkerStatus) bool { return w.State == StateReady && !w.Stopped }

// lastExit is how the last worker ended, as far as that is known.
func lastExit(workers []WorkerStatus) string {
	for _, w := range workers {
		if w.LastExit != "" {
			return ", the last one: " + w.LastExit
		}
	}
	return ""
}

// whyServers says which job servers cannot be reached.
func (in whyInput) whyServers() (reasons []Reason) {
	lost := 0
	for _, s := range in.fleet.Servers {
		if !s.Lost.IsZero() {
			lost++
			reasons = append(reasons, Reason{Code: ReasonServerLost, Message: fmt.Sprintf("job server %s cannot be reached for %v: %s",
				s.Address, in.fleet.At.Sub(s.Lost).Round(time.Second), connError(s.Address, s.Err))})
		}
	}
	if lost > 0 && lost == len(in.fleet.Servers) {
		for i := range reasons {
			reasons[i].Code, reasons[i].Blocks = ReasonServersLost, true
		}
	}
	return reasons
}

// whyBusy says whether all slots have a job, and how many wait for one.
func (in whyInput) whyBusy(pools []PoolStatus) []Reason {
	slots, hand, others, unknown := 0, 0, 0, false
	var longest JobInHand
	for _, p := range pools {
		unknown = unknown || p.JobsUnknown
		for _, w := range p.Workers {
			if !worksNow(w) {
				continue
			}
			slots += w.Slots
			hand += len(w.Jobs)
			for _, j := range w.Jobs {
				if j.Function != in.function {
					others++
				}
				if j.Since >= longest.Since {
					longest = j
				}
			}
		}
	}
	queued, _ := in.queued()
	if unknown || hand < slots || slots == 0 {
		return nil
	}
	what := fmt.Sprintf("all of its %s have a job", countWord(slots, "slot", "slots"))
	if slots == 1 {
		what = "its only slot has a job"
	}
	if others > 0 {
		what += fmt.Sprintf(", %d of another function", others)
	}
	reasons := []Reason{{ReasonBusy, fmt.Sprintf("%s; the longest, %s %s, runs for %v", what, longest.Function, longest.Handle, longest.Since.Round(time.Millisecond)), true}}
	if queued > 0 {
		reasons = append(reasons, Reason{Code: ReasonLimit, Message: fmt.Sprintf("%s for %s; for more: %s",
			countWord(queued, "job waits", "jobs wait"), countWord(slots, "slot", "slots"), scaleCommand(pools, slots+1))})
	}
	return reasons
}

// scaleCommand is how to have one slot more: of its own pool, if there is one.
func scaleCommand(pools []PoolStatus, slots int) string {
	pool := pools[0]
	for _, p := range pools {
		if !p.Shared {
			pool = p
		}
	}
	if len(pools) > 1 {
		slots = pool.Slots + 1
	}
	return typed("scale", fmt.Sprintf("%s=%d", pool.Name, slots))
}

// whyQuarantine says how many jobs are not run again.
func (in whyInput) whyQuarantine() []Reason {
	n := 0
	for _, j := range in.quarantine {
		if j.Quarantined && j.Function == in.function {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return []Reason{{Code: ReasonQuarantine, Message: countWord(n, "job", "jobs") + " of it in quarantine, see: gearman-manager quarantine"}}
}

// whyChanging says what becomes of changes of code and settings.
func (in whyInput) whyChanging(pools []PoolStatus) (reasons []Reason) {
	for _, p := range pools {
		if p.Fault != "" {
			reasons = append(reasons, Reason{Code: ReasonFault, Message: "a change of pool " + p.Name + " is not applied, and what was before goes on: " + p.Fault})
		}
	}
	for _, p := range pools {
		if p.Outdated > 0 {
			reasons = append(reasons, Reason{Code: ReasonRolling, Message: fmt.Sprintf("%d of %s of pool %s still to be replaced by new ones",
				p.Outdated, workersWord(p.Workers), p.Name)})
		}
	}
	return reasons
}

// queued is how many jobs wait, and whether all servers have said.
func (in whyInput) queued() (n int, whole bool) {
	whole = true
	for _, q := range in.queues {
		n += q.Queued
		whole = whole && q.Err == nil
	}
	return n, whole
}

// whyQueue says that nothing waits, or that it is not known.
func (in whyInput) whyQueue() []Reason {
	n, whole := in.queued()
	switch {
	case n > 0:
		return nil
	case whole:
		return []Reason{{Code: ReasonNothing, Message: "no job of it waits in a job server"}}
	}
	var silent []string
	for _, q := range in.queues {
		if q.Err != nil {
			silent = append(silent, q.Server)
		}
	}
	return []Reason{{Code: ReasonUnknown, Message: "whether jobs wait is not known: " + strings.Join(silent, ", ") + " did not say"}}
}

func countWord(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// workersWord counts those that there are.
func workersWord(workers []WorkerStatus) string {
	n := 0
	for _, w := range workers {
		if w.PID != 0 {
			n++
		}
	}
	return countWord(n, "worker", "workers")
}
