package manager

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
)

// goesOn ends a problem of a program that is not taken as the disk holds it.
const goesOn = "; the version that runs goes on"

// runs returns the program that runs under a name, nil if none does. A plugin may perform any function.
func (s *scan) runs(named, function string) *Program {
	for i := range s.running {
		if p := &s.running[i]; p.Named == named && (p.Kind == KindPlugin || slices.Contains(p.Functions, function)) {
			return p
		}
	}
	return nil
}

// refuse notes why a program is not run as the disk holds it, and takes what runs in its place, if anything does.
func (s *scan) refuse(c candidate, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	if c.runs == nil {
		s.note(config.Error, c.Origin, "%s", why)
		return
	}
	s.note(config.Error, c.Origin, "%s%s", why, goesOn)
	s.keep(&c, why)
	s.found = append(s.found, c)
}

// keep makes a candidate what runs in its place, as far as the config still wants it.
func (s *scan) keep(c *candidate, fault string) {
	found := c.Program
	c.Program, c.kept = *c.runs, true
	c.Origin, c.Fault, c.Broken = found.Origin, fault, false
	if len(found.Command) > 0 && c.Kind == found.Kind {
		c.Command = append([]string{c.Path}, found.Command[1:]...)
	}
	if c.Kind == KindPHP && found.Kind == KindPHP {
		c.Pear = found.Pear
	}
	if k := s.lib.knows(c.FileHash); c.Kind == KindPlugin && len(k.description.Functions) > 0 {
		c.Functions = k.description.Functions
	}
	c.Functions = s.included(c.Functions)
}

// included are the functions that include and exclude let through, once each.
func (s *scan) included(functions []string) (list []string) {
	for _, name := range functions {
		if s.cfg.Included(name) && config.CheckFunctionName(name) == nil && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// runsFrom reports whether a program of a worker directory runs.
func (s *scan) runsFrom(dir string) bool {
	return slices.ContainsFunc(s.running, func(p Program) bool { return p.in(dir) })
}

// keepAll keeps the programs that run from a worker directory that cannot be looked at, and reports whether there are any.
func (s *scan) keepAll(dir, fault string) bool {
	for i := range s.running {
		p := &s.running[i]
		if !p.in(dir) || slices.ContainsFunc(s.found, func(c candidate) bool { return c.runs == p }) {
			continue
		}
		c := candidate{Program: *p, runs: p}
		s.keep(&c, fault)
		s.found = append(s.found, c)
	}
	return s.runsFrom(dir)
}

// in reports whether the program was found in a worker directory.
func (p *Program) in(dir string) bool {
	return p.Origin.Key != "command" && filepath.Dir(p.Named) == filepath.Clean(dir)
}

// holdBack keeps a program that runs where changed code is not to be taken by itself. Executables run in place, whatever is said.
func (s *scan) holdBack(c *candidate) {
	if s.how.code || c.kept || c.runs == nil || !c.changed() {
		return
	}
	byContent := c.Kind == c.runs.Kind || c.runs.Kind == KindPlugin && s.cfg.Function(functionOf(c.Path)).Mode() == ""
	if byContent && c.runs.Kind != KindExec {
		s.keep(c, c.runs.Fault)
	}
}

// changed reports whether a program is another than what runs in its place, as far as it is known yet.
func (c *candidate) changed() bool {
	r := c.runs
	return c.Kind != r.Kind || c.Path != r.Path || c.FileHash != r.FileHash || c.Hash != "" && c.Hash != r.Hash
}

// sum returns the hash of a file, empty if it cannot be read.
func (s *scan) sum(path string) string {
	if hash, ok := s.sums[path]; ok {
		return hash
	}
	hash, err := s.lib.sums.File(path)
	if err != nil {
		hash = ""
	}
	s.sums[path] = hash
	return hash
}
