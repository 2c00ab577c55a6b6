package manager

import (
	"context"
	"fmt"

	"github.com/gearman-manager/gearman-manager/config"
)

// Scan finds the programs of a config: those with a command line first, in the order of the file, then the files of each worker
// directory, in the order of the directories and by name. Of two programs for a function the one found first performs it.
//
// It reads directories and the beginnings of files, and blocks while plugins are asked through d; executables are not run. With a nil d plugins are
// reported as problems. PHP files are loaded by in, in a process of their own; with a nil in they are taken for good. Each problem concerns one
// directory, file or function, which is left out of the result; PHP files that are broken stay in it and are marked. When ctx ends, programs
// that were not asked or loaded yet are reported as problems.
func Scan(ctx context.Context, cfg *config.Config, d Describer, in Inspector) ([]Program, []config.Problem) {
	return newLibrary(nil, d, in, func(Event) {}).look(ctx, cfg, nil, lookAt{code: true})
}

// scan is the state of one look of a library.
type scan struct {
	cfg *config.Config
	lib *library
	how lookAt
	// running are the programs that run.
	running []Program
	// searched holds the directories that were searched, with symbolic links resolved: one that is listed twice is one.
	searched []string
	// found holds the programs in the order in which they were found; plugins have no functions until they are described.
	found    []candidate
	problems []config.Problem
	// sums holds the hashes of the files that were looked at.
	sums map[string]string
	// unsettled holds the files that did not stop changing.
	unsettled map[string]bool
	// matches holds what patterns have matched.
	matches map[string][]string
}

// candidate is a program that was found.
type candidate struct {
	Program
	// runs is what runs in its place; nil if nothing does.
	runs *Program
	// kept is set where that goes on to run.
	kept bool
}

// note adds a problem at the place where the config names the program.
func (s *scan) note(severity config.Severity, origin config.Origin, format string, args ...any) {
	file := origin.File
	if file == "" && origin.Flag == "" {
		file = s.cfg.File()
	}
	s.problems = append(s.problems, config.Problem{
		File: file, Line: origin.Line, Section: origin.Section, Key: origin.Key, Flag: origin.Flag,
		Severity: severity, Message: fmt.Sprintf(format, args...),
	})
}

// commands finds the programs that sections name by a command line.
func (s *scan) commands() {
	for _, name := range s.cfg.Sections() {
		f := s.cfg.Function(name)
		words := f.Command()
		if len(words) == 0 || !s.cfg.Included(name) || config.CheckFunctionName(name) != nil {
			continue
		}
		s.command(f, words)
	}
}

// command adds the program of one command line.
func (s *scan) command(f config.Function, words []string) {
	origin := f.Origin("command")
	kind := KindExec
	switch f.Mode() {
	case "", string(KindExec):
	case string(KindStandalone):
		kind = KindStandalone
	case string(KindPlugin):
		kind = KindPlugin
	default:
		s.note(config.Error, f.Origin("mode"), "a command cannot be run in mode %s, want exec, standalone or plugin, or a file in worker_dir", f.Mode())
		return
	}
	path, err := findCommand(words[0])
	if err != nil {
		s.note(config.Error, origin, "the program %s %v, want an executable file", words[0], err)
		return
	}
	c := candidate{Program: Program{Path: path, Named: path, Kind: kind, Origin: origin}, runs: s.runs(path, f.Name())}
	switch {
	case kind != KindPlugin:
		c.Functions = []string{f.Name()}
		c.Command = append([]string{path}, words[1:]...)
	case len(words) > 1:
		s.note(config.Error, origin, "a plugin takes no arguments, want only its path")
		return
	}
	if s.sayable(origin, append([]string{f.Name()}, words...)...) && s.trusted(path, origin) {
		s.add(c)
	}
}

// add adds a program that may be run, unless its file cannot be.
func (s *scan) add(c candidate) {
	if s.unsettled[c.Path] {
		s.refuse(c, "the file %s is still being written, want it copied whole", c.Path)
		return
	}
	c.FileHash = s.sum(c.Path)
	if c.Kind != KindPHP {
		if fault := s.lib.fileFault(c.Path, c.FileHash); fault != "" {
			s.refuse(c, "%s", fault)
			return
		}
	}
	s.found = append(s.found, c)
}
