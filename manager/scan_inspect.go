package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// inspectedFile is what an inspection is about: a file with a content, and what is looked for in it.
type inspectedFile struct {
	file PHPFile
	hash string
}

// inspection is what was found out about it.
type inspection struct {
	at    time.Time
	fault *PHPFault // nil: none
	// elsewhere is the hash of the file that the fault is in, where that is another one.
	elsewhere string
	used      bool // since the last look began
}

// inspect finds the PHP programs that cannot be run, notes why, and keeps what runs of them or marks them as broken. It comes after each function has its one
// program: of two files for a function PHP could load only the first. All are loaded where one has changed, since they may declare the same.
func (s *scan) inspect(ctx context.Context) {
	var files []PHPFile
	byPath := map[string]*candidate{}
	for i := range s.found {
		if c := &s.found[i]; c.Kind == KindPHP && !c.kept {
			name := c.Functions[0]
			files = append(files, PHPFile{Function: name, Path: c.Path, Symbol: s.cfg.Prefix() + name, Pear: c.Pear})
			byPath[c.Path] = c
		}
	}
	if s.lib.inspector == nil || len(files) == 0 {
		return
	}
	s.checkInterpreter()
	defer s.lib.forgetInspections()
	if slices.ContainsFunc(files, func(f PHPFile) bool { return s.toInspect(f, byPath[f.Path].Hash) }) {
		faults, err := s.lib.inspector.Inspect(ctx, files)
		if err != nil {
			s.notInspected(files, byPath, err)
			return
		}
		for _, f := range files {
			s.inspected(f, byPath[f.Path].Hash, faults)
		}
	}
	for _, f := range files {
		c := byPath[f.Path]
		if found := s.lib.inspected[inspectedFile{f, c.Hash}]; found.fault != nil {
			s.faulty(c, *found.fault)
		}
	}
}

// checkInterpreter forgets what another interpreter has found.
func (s *scan) checkInterpreter() {
	path, err := findCommand(s.cfg.PHP())
	now := fmt.Sprintf("%s %v %q %v %s", path, err, s.cfg.PHPArgs(), s.cfg.PHPPreload(), s.sum(path))
	if now != s.lib.interpreter {
		s.lib.interpreter = now
		clear(s.lib.inspected)
	}
}

// toInspect reports whether nothing is known of a file, or something that may not be true any more.
func (s *scan) toInspect(f PHPFile, hash string) bool {
	known := s.lib.inspected[inspectedFile{f, hash}]
	if known == nil || hash == "" {
		return true
	}
	known.used = true
	return known.fault != nil && (s.doubted(known.at) || s.elsewhere(known.fault) != known.elsewhere)
}

// elsewhere is the hash of the file that a fault is in, where that is not the worker file.
func (s *scan) elsewhere(f *PHPFault) string {
	if f.File == "" || f.File == f.Path {
		return ""
	}
	return s.sum(f.File)
}

// inspected remembers what was found out about a file.
func (s *scan) inspected(f PHPFile, hash string, faults []PHPFault) {
	found := &inspection{at: s.lib.now(), used: true}
	if i := slices.IndexFunc(faults, func(fault PHPFault) bool { return fault.Path == f.Path }); i >= 0 {
		found.fault = &faults[i]
		found.elsewhere = s.elsewhere(found.fault)
	}
	s.lib.inspected[inspectedFile{f, hash}] = found
}

// forgetInspections drops those that the last look has not come across.
func (l *library) forgetInspections() {
	for key, found := range l.inspected {
		if !found.used {
			delete(l.inspected, key)
		}
		found.used = false
	}
}

// faulty notes what is wrong with a file.
func (s *scan) faulty(c *candidate, fault PHPFault) {
	p := fault.place()
	if c.runs == nil || c.runs.Kind != KindPHP {
		c.Broken = true
		p.Message = fmt.Sprintf("the function %s is not performed: %s", c.Functions[0], p.Message)
	} else {
		s.keep(c, p.String())
		p.Message = fmt.Sprintf("the new code of the function %s is not taken: %s%s", c.Functions[0], p.Message, goesOn)
	}
	s.problems = append(s.problems, p)
}

// notInspected notes that no file can be run, and keeps what runs.
func (s *scan) notInspected(files []PHPFile, byPath map[string]*candidate, err error) {
	goes := "no PHP worker is run"
	for _, c := range byPath {
		if c.runs != nil && c.runs.Kind == KindPHP {
			s.keep(c, err.Error())
			goes = "no PHP file is taken as it is by now"
		} else {
			c.Broken = true
		}
	}
	origin, want := s.interpreterOrigin(err)
	s.note(config.Error, origin, "%v, so %s (%s), want %s", err, goes, someFunctions(files), want)
}

// interpreterOrigin is the key that is to blame for an interpreter that cannot be used, and
// what is wanted of it: its arguments, where those are set and the interpreter was started.
func (s *scan) interpreterOrigin(err error) (origin config.Origin, want string) {
	var start *php.StartError
	if len(s.cfg.PHPArgs()) > 0 && errors.As(err, &start) {
		return s.cfg.Origin(config.GlobalSection, "php_args"), "arguments that this php takes and the workers can do with, or a php for the command line"
	}
	return s.cfg.Origin(config.GlobalSection, "php"), "the path of a php for the command line, or its name if it is on the PATH"
}

// String says what is wrong, and where.
func (f PHPFault) String() string { return f.place().String() }

// place is the fault as a problem of its file.
func (f PHPFault) place() config.Problem {
	p := config.Problem{File: f.File, Line: f.Line, Severity: config.Error, Message: f.Problem}
	switch f.File {
	case "":
		p.File = f.Path
	case f.Path:
	default:
		p.Message += " (while " + f.Path + " was loaded)"
	}
	return p
}

// maxNamed is how many functions a message names.
const maxNamed = 3

// someFunctions names the functions of the files, as far as there are not many.
func someFunctions(files []PHPFile) string {
	var names []string
	for _, f := range files[:min(len(files), maxNamed)] {
		names = append(names, f.Function)
	}
	if more := len(files) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
