package manager

import (
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/config"
)

func problemAt(o config.Origin, severity config.Severity, message string) config.Problem {
	return config.Problem{
		File: o.File, Line: o.Line, Section: o.Section, Key: o.Key, Flag: o.Flag, Severity: severity, Message: message,
	}
}

// notApplied are warnings about what has changed and takes effect at the next start only.
func (m *Manager) notApplied(settings *config.Config) (problems []config.Problem) {
	first := m.cfg.Settings
	for key, changed := range map[string]bool{
		"runtime_dir":       first.RuntimeDir() != settings.RuntimeDir(),
		"state_dir":         first.StateDir() != settings.StateDir(),
		"control_socket":    first.ControlSocket() != settings.ControlSocket(),
		"control_owner":     first.ControlOwner() != settings.ControlOwner(),
		"control_group":     first.ControlGroup() != settings.ControlGroup(),
		"start_concurrency": first.StartConcurrency() != settings.StartConcurrency(),
	} {
		if changed {
			problems = append(problems, problemAt(settings.Origin(config.GlobalSection, key), config.Warning,
				"the new value takes effect when the manager is started again"))
		}
	}
	slices.SortFunc(problems, func(a, b config.Problem) int { return strings.Compare(a.Key, b.Key) })
	return problems
}

// isSame tells whether two problems are one and the same, on whatever lines: what stands
// above may be more by now.
func isSame(p, q config.Problem) bool {
	p.Line = q.Line
	return p == q
}

// newProblems are those that were not there before.
func newProblems(was, now []config.Problem) (fresh []config.Problem) {
	for _, p := range now {
		if !slices.ContainsFunc(was, func(old config.Problem) bool { return isSame(old, p) }) {
			fresh = append(fresh, p)
		}
	}
	return fresh
}

// newErrors are the errors among those that were not there before.
func newErrors(was, now []config.Problem) []config.Problem { return errorsIn(newProblems(was, now)) }

// errorsIn are those problems that are errors.
func errorsIn(problems []config.Problem) []config.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p config.Problem) bool { return p.Severity != config.Error })
}

// tellProblems tells of problems that are new, and of those that are no more, and shows them.
func (m *Manager) tellProblems(was fleetState, f found) {
	known, refusal := was.reload.Problems, errorsIn(f.disk.refusal)
	again := was.disk.refused && slices.EqualFunc(errorsIn(was.disk.refusal), refusal, isSame)
	if f.disk.refused && !again {
		m.emit(ConfigRefused{Problems: refusal})
		known = slices.Concat(known, refusal)
	}
	for _, p := range newProblems(known, f.problems) {
		m.emit(ProblemFound{Problem: p})
	}
	for _, p := range newErrors(f.problems, was.reload.Problems) {
		if !slices.Contains(was.disk.refusal, p) {
			m.emit(ProblemGone{Problem: p})
		}
	}
	if was.disk.refused && !f.disk.refused {
		m.emit(ConfigAccepted{})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.reload.Problems, m.state.reload.Refused = f.problems, f.disk.refused
	m.state.disk.refused, m.state.disk.refusal = f.disk.refused, f.disk.refusal
	m.state.disk.sum = "" // until what was found is applied
}
