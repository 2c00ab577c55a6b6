package manager

import (
	"fmt"
	"slices"
	"strings"
)

// change is one difference between two plans of a pool.
type change struct {
	// what says it for people: "timeout 5s → none".
	what string
	// rolls is set where a worker that runs cannot be told, so that it has to be replaced.
	rolls bool
}

// changesOf says for people what is different in the next plan of a pool; nothing where they are equal.
func changesOf(old, next *PoolPlan) []string {
	var all []string
	for _, c := range differences(old, next) {
		all = append(all, c.what)
	}
	return all
}

// rollReasons are those of the changes because of which the workers have to be replaced. They say nothing of how many workers there are, and of how many
// slots each has: a worker can be told that. Executables run in place, so that their content replaces no worker.
func rollReasons(old, next *PoolPlan) []string {
	var all []string
	for _, c := range differences(old, next) {
		if c.rolls {
			all = append(all, c.what)
		}
	}
	return all
}

// differences compares two plans of a pool with one key. What is not compared is derived from something that is, or is for people only.
func differences(old, next *PoolPlan) []change {
	return slices.Concat(
		differ("name", old.Name, next.Name, asText),
		differ("count", old.Slots, next.Slots, asNumber),
		concurrencyChange(old, next),
		programChange(old, next),
		functionChanges(old, next),
		limitChanges(old, next),
		workerChanges(old, next),
	)
}

// differ is a change of one value that workers can be told, or that only the manager needs; none if it is the same.
func differ[T comparable](key string, old, next T, say func(T) string) []change {
	if old == next {
		return nil
	}
	return []change{{what: key + " " + say(old) + " → " + say(next)}}
}

// rolling marks changes that no running worker can be told.
func rolling(changes []change) []change {
	for i := range changes {
		changes[i].rolls = true
	}
	return changes
}

// concurrencyChange is about what the config asks for. Workers are replaced only where there are several: one takes another number of slots.
func concurrencyChange(old, next *PoolPlan) []change {
	together := func(p *PoolPlan) string {
		switch {
		case p.Together > 0:
			return fmt.Sprint(p.Together)
		case p.Kind == KindExec:
			return "all"
		default:
			return "1"
		}
	}
	changes := differ("concurrency", together(old), together(next), asText)
	several := old.Workers > 1 || next.Workers > 1
	if running := old.Workers > 0 && next.Workers > 0; running && several && old.Concurrency != next.Concurrency {
		return rolling(changes)
	}
	return changes
}

// programChange is about the program of a plugin's pool, and the interpreter of a PHP pool. A plugin that runs from a private copy is the same wherever its
// original is.
func programChange(old, next *PoolPlan) []change {
	changes := slices.Concat(
		differ("php", strings.Join(old.Interpreter, " "), strings.Join(next.Interpreter, " "), asText),
		differ("php_preload", old.Preload, next.Preload, asSwitch),
	)
	if old.Kind != KindPlugin {
		return rolling(changes) // the programs of others are compared by function
	}
	if old.Hash != next.Hash {
		changes = append(changes, change{what: newCode(old.Hash, next.Hash) + newVersion(old.Version, next.Version)})
	} else {
		changes = append(changes, differ("version", old.Version, next.Version, asText)...)
	}
	moved := differ("program", old.Program, next.Program, asText)
	if old.Run == "" || next.Run == "" {
		rolling(moved)
	}
	return append(rolling(changes), moved...)
}

// shownHash is how many digits of a hash are shown.
const shownHash = 7

// shortHash is enough of a hash to tell versions apart.
func shortHash(hash string) string {
	if hash == "" {
		return "unknown"
	}
	return hash[:min(len(hash), shownHash)]
}

func newCode(old, next string) string {
	return "new code " + shortHash(old) + " → " + shortHash(next)
}

// newVersion is what a plugin says of its version, where that is another.
func newVersion(old, next string) string {
	if old == next {
		return ""
	}
	return " (" + asText(old) + " → " + asText(next) + ")"
}

// workerChanges are about when workers leave and are started.
func workerChanges(old, next *PoolPlan) []change {
	return slices.Concat(
		differ("max_runs_per_worker", old.MaxRuns, next.MaxRuns, asLimit),
		differ("max_worker_lifetime", old.MaxLifetime, next.MaxLifetime, asTime),
		differ("worker_restart_splay", old.RestartSplay, next.RestartSplay, asTime),
		differ("max_memory", old.MaxMemory, next.MaxMemory, asSize),
		differ("start_seconds", old.StartSeconds, next.StartSeconds, asTime),
		differ("start_retries", old.StartRetries, next.StartRetries, asLimit),
		differ("stop_signal", old.StopSignal, next.StopSignal, asSignal),
		differ("reload_batch", old.ReloadBatch, next.ReloadBatch, asNumber),
	)
}

// limitChanges are about what the kernel holds workers to from their start on, and max_memory_hard, which may be such a limit.
func limitChanges(old, next *PoolPlan) []change {
	a, b := old.Limits, next.Limits
	kernel := slices.Concat(
		differ("rlimit_nofile", a.NoFile, b.NoFile, asLimit),
		differ("rlimit_core", core(a), core(b), asText),
		differ("nice", a.Nice, b.Nice, asNumber),
		differ("kill_group", !old.KeepGroup, !next.KeepGroup, asSwitch),
	)
	hard := differ("max_memory_hard", old.MaxMemoryHard, next.MaxMemoryHard, asSize)
	if !derivedData(old) || !derivedData(next) {
		return slices.Concat(hard, rolling(append(kernel, differ("rlimit_data", a.Data, b.Data, asSize)...)))
	}
	wider := b.Data == 0 || a.Data != 0 && b.Data > a.Data
	if next.Kind == KindExec || wider {
		rolling(hard) // a worker with the former limit would not come to use what it may
	}
	return append(hard, rolling(kernel)...)
}

// derivedData reports whether the kernel's limit of memory is only what max_memory_hard comes to. The manager holds workers to that too, except for
// executables.
func derivedData(p *PoolPlan) bool { return p.Limits.Data == dataLimit(p.MaxMemoryHard) }
