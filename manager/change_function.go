package manager

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kballard/go-shellquote"
)

// functionChanges are about the functions of a pool. A change of several of them is said once.
func functionChanges(old, next *PoolPlan) []change {
	changes := functionsGone(old, next)
	var order []change
	names := map[change][]string{}
	for _, f := range next.Functions {
		before := functionIn(old, f.Name)
		if before == nil {
			continue
		}
		for _, c := range functionChange(next.Kind, before, &f) {
			if names[c] == nil {
				order = append(order, c)
			}
			names[c] = append(names[c], f.Name)
		}
	}
	for _, c := range order {
		if next.Shared {
			c.what += " (" + listed(names[c]) + ")"
		}
		changes = append(changes, c)
	}
	return changes
}

// functionsGone are functions that are new in a pool, or performed by it no more. Workers of plugins and PHP files have the functions that they began with.
func functionsGone(old, next *PoolPlan) (changes []change) {
	missing := func(from, in *PoolPlan) (names []string) {
		for _, f := range from.Functions {
			if functionIn(in, f.Name) == nil {
				names = append(names, f.Name)
			}
		}
		return names
	}
	rolls := next.Kind != KindExec
	if names := missing(next, old); names != nil {
		changes = append(changes, change{what: "performs " + listed(names), rolls: rolls})
	}
	if names := missing(old, next); names != nil {
		changes = append(changes, change{what: "performs no more " + listed(names), rolls: rolls})
	}
	return changes
}

// functionIn returns the plan of a function, nil if the pool has none.
func functionIn(pool *PoolPlan, name string) *FunctionPlan {
	for i := range pool.Functions {
		if pool.Functions[i].Name == name {
			return &pool.Functions[i]
		}
	}
	return nil
}

// listed names functions, the first few of many.
func listed(names []string) string {
	if more := len(names) - maxNamed; more > 1 {
		names = append(slices.Clone(names[:maxNamed]), fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// functionChange compares what holds for the jobs of a function.
func functionChange(kind Kind, old, next *FunctionPlan) []change {
	return append(codeChange(kind, old, next), slices.Concat(
		differ("timeout", old.Timeout, next.Timeout, asTime),
		differ("on_timeout", old.OnTimeout, next.OnTimeout, asText),
		differ("on_crash", old.OnCrash, next.OnCrash, asText),
		differ("job_attempts", old.JobAttempts, next.JobAttempts, asLimit),
		differ("graceful_shutdown_wait_time", old.Grace, next.Grace, asGrace),
		differ("priority", old.Priority, next.Priority, asNumber),
		differ("slow", old.Slow, next.Slow, asTime),
	)...)
}

// codeChange compares the program of a function; that of a plugin is its pool's. A worker for executables is told where they are.
func codeChange(kind Kind, old, next *FunctionPlan) []change {
	if kind == KindPlugin {
		return nil
	}
	changes := slices.Concat(
		differ("program", old.Program, next.Program, asText),
		differ("command", arguments(old), arguments(next), asText),
		differ("symbol", old.Symbol, next.Symbol, asText),
		differ("pear", old.Pear, next.Pear, asSwitch),
	)
	if old.Hash != next.Hash {
		changes = append([]change{{what: newCode(old.Hash, next.Hash)}}, changes...)
	}
	if kind == KindExec {
		return changes
	}
	return rolling(changes)
}

// arguments are those of a command line, as a shell reads them. Its program is compared by itself.
func arguments(f *FunctionPlan) string {
	return shellquote.Join(f.Command[min(1, len(f.Command)):]...)
}
