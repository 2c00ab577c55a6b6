package manager

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/config"
)

// known tells whether anybody knows the function: a pool, the config, a problem that was
// found, or a job server that has jobs or workers for it.
func (in whyInput) known() bool {
	if len(in.pools()) > 0 || slices.Contains(in.settings.Sections(), in.function) || len(in.problems()) > 0 || in.excluded() {
		return true
	}
	return slices.ContainsFunc(in.queues, func(q ServerQueue) bool { return q.Queued+q.Running+q.Workers > 0 })
}

// excluded tells whether the config leaves the function out, and it is not rather a slip
// of the finger.
func (in whyInput) excluded() bool {
	if in.settings.Included(in.function) {
		return false
	}
	return slices.Contains(in.settings.Exclude(), in.function) || slices.Contains(in.settings.Sections(), in.function) || in.nearest() == ""
}

// nearest is the name of a function that may have been meant.
func (in whyInput) nearest() string {
	names := in.settings.Sections()
	for _, p := range in.fleet.Pools {
		names = append(names, p.Functions...)
	}
	return config.Nearest(in.function, names)
}

func (in whyInput) didYouMean() string {
	if name := in.nearest(); name != "" {
		return fmt.Sprintf(" (did you mean %s?)", name)
	}
	return ""
}

// whyNoPool explains a function that no pool performs.
func (in whyInput) whyNoPool() (reasons []Reason) {
	for _, p := range in.problems() {
		if p.Severity == config.Error {
			reasons = append(reasons, Reason{ReasonProblem, p.String(), true})
		}
	}
	switch {
	case len(reasons) > 0:
		return reasons
	case !in.settings.Included(in.function):
		return []Reason{{ReasonExcluded, "the config leaves it out: see include and exclude in [" + config.GlobalSection + "]", true}}
	}
	for _, p := range in.problems() {
		reasons = append(reasons, Reason{ReasonNoProgram, p.String(), true})
	}
	if len(reasons) == 0 {
		reasons = []Reason{{ReasonNoProgram, "no program performs it, want a worker of this name in worker_dir, or a command in a section of this name", true}}
	}
	return reasons
}

// problems are those that are about the function or its program.
func (in whyInput) problems() (out []config.Problem) {
	for _, p := range in.fleet.Reload.Problems {
		if in.concerns(p) {
			out = append(out, p)
		}
	}
	return out
}

// concerns tells whether a problem is about the function: in its section, or in a file
// of its name, or one whose message names such a file.
func (in whyInput) concerns(p config.Problem) bool {
	base := filepath.Base(p.File)
	if p.Section == in.function || strings.TrimSuffix(base, filepath.Ext(base)) == in.function && filepath.Ext(base) != ".ini" {
		return true
	}
	for _, before := range []string{"/" + in.function, "function " + in.function} {
		for rest := p.Message; ; {
			_, after, found := strings.Cut(rest, before)
			if !found {
				break
			}
			if after == "" || strings.ContainsAny(after[:1], " .,:;)\"'") {
				return true
			}
			rest = after
		}
	}
	return false
}
