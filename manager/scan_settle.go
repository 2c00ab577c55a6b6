package manager

import (
	"strings"

	"github.com/gearman-manager/gearman-manager/config"
)

// settle gives each function to the first program that performs it, and drops the programs that have none.
func (s *scan) settle() {
	owner := map[string]string{}
	var left []candidate
	for _, p := range s.found {
		var functions []string
		for _, name := range p.Functions {
			if first, taken := owner[name]; taken {
				s.conflict(name, first, p.Program)
				continue
			}
			owner[name] = p.label()
			functions = append(functions, name)
		}
		if p.Functions = functions; len(functions) > 0 {
			left = append(left, p)
		}
	}
	s.found = left
}

// label names a program for people: its command line where it has one, else its path.
func (p Program) label() string {
	if p.Origin.Key == "command" && p.Kind != KindPlugin {
		return "command = " + strings.Join(p.Command, " ")
	}
	return p.Path
}

// conflict notes two programs for one function, at the function's section where it has one.
func (s *scan) conflict(name, first string, second Program) {
	origin := second.Origin
	if s.cfg.Function(name).HasSection() {
		origin = s.cfg.SectionOrigin(name)
	}
	s.note(config.Error, origin, "two programs perform the function %s: %s, which is used, and %s, want one of them", name, first, second.label())
}
