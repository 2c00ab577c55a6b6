package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// inspect marks the PHP programs that cannot be run, and notes why. It comes after each function has its one program: of two files for a
// function PHP could load only the first.
func (s *scan) inspect(ctx context.Context, in Inspector, programs []Program) {
	var files []PHPFile
	byPath := map[string]*Program{}
	for i := range programs {
		if p := &programs[i]; p.Kind == KindPHP {
			name := p.Functions[0]
			files = append(files, PHPFile{Function: name, Path: p.Path, Symbol: s.cfg.Prefix() + name, Pear: p.Pear})
			byPath[p.Path] = p
		}
	}
	if in == nil || len(files) == 0 {
		return
	}
	faults, err := in.Inspect(ctx, files)
	if err != nil {
		for _, p := range byPath {
			p.Broken = true
		}
		origin, want := s.interpreterOrigin(err)
		s.note(config.Error, origin, "%v, so no PHP worker is run (%s), want %s", err, someFunctions(files), want)
		return
	}
	for _, fault := range faults {
		if p := byPath[fault.Path]; p != nil && !p.Broken {
			p.Broken = true
			s.problems = append(s.problems, fault.problem(p.Functions[0]))
		}
	}
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

// problem puts a fault at the place where it can be mended.
func (f PHPFault) problem(function string) config.Problem {
	p := f.place()
	p.Message = fmt.Sprintf("the function %s is not performed: %s", function, p.Message)
	return p
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
