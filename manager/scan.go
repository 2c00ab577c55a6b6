package manager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gearman-manager/gearman-manager/config"
)

// describeAtOnce is how many plugins are asked for their functions at a time.
const describeAtOnce = 4

// Scan finds the programs of a config: those with a command line first, in the order of the file, then the files of each worker
// directory, in the order of the directories and by name. Of two programs for a function the one found first performs it.
//
// It reads directories and the beginnings of files, and blocks while plugins are asked through d; nothing else is run. With a nil d plugins are
// reported as problems. Each problem concerns one directory, file or function, which is left out of the result. When ctx ends, plugins
// that were not asked yet are reported as problems.
func Scan(ctx context.Context, cfg *config.Config, d Describer) ([]Program, []config.Problem) {
	s := &scan{cfg: cfg}
	s.commands()
	for _, dir := range cfg.WorkerDirs() {
		s.directory(dir)
	}
	s.describe(ctx, d)
	return s.settle(), s.problems
}

// scan is the state of one scan.
type scan struct {
	cfg *config.Config
	// searched holds the directories that were searched, with symbolic links resolved: one that is listed twice is one.
	searched []string
	// found holds the programs in the order in which they were found; plugins have no functions until they are described.
	found    []Program
	problems []config.Problem
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
		if p, ok := s.command(f, words); ok {
			s.found = append(s.found, p)
		}
	}
}

// command makes the program of one command line.
func (s *scan) command(f config.Function, words []string) (Program, bool) {
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
		return Program{}, false
	}
	path, err := findCommand(words[0])
	if err != nil {
		s.note(config.Error, origin, "the program %s %v, want an executable file", words[0], err)
		return Program{}, false
	}
	if !s.usable(path, origin) {
		return Program{}, false
	}
	p := Program{Path: path, Kind: kind, Origin: origin}
	switch {
	case kind != KindPlugin:
		p.Functions = []string{f.Name()}
		p.Command = append([]string{path}, words[1:]...)
	case len(words) > 1:
		s.note(config.Error, origin, "a plugin takes no arguments, want only its path")
		return Program{}, false
	}
	return p, true
}

// directory finds the programs of one worker directory.
func (s *scan) directory(dir string) {
	origin := s.cfg.Origin(config.GlobalSection, "worker_dir")
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		s.badDirectory(dir, origin, err)
		return
	}
	if slices.Contains(s.searched, real) {
		return
	}
	s.searched = append(s.searched, real)
	info, err := os.Stat(real)
	switch {
	case err != nil:
		s.badDirectory(dir, origin, err)
		return
	case !info.IsDir():
		s.note(config.Error, origin, "%s is no directory, want a directory with workers", dir)
		return
	case openToAll(info):
		s.note(config.Error, origin, "others may write to the directory %s, so nothing in it is run, want chmod o-w %s", dir, real)
		return
	}
	entries, err := os.ReadDir(real)
	if err != nil {
		s.badDirectory(dir, origin, err)
		return
	}
	before := len(s.found) + len(s.problems)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			s.file(filepath.Join(real, entry.Name()), origin)
		}
	}
	if len(s.found)+len(s.problems) == before && !s.holdsExcluded(entries) {
		s.note(config.Warning, origin, "the directory %s holds no worker, want .php files or executables", dir)
	}
}

// badDirectory notes a directory that cannot be read. The default one may be missing where the config names commands.
func (s *scan) badDirectory(dir string, origin config.Origin, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist) && origin.IsDefault() && len(s.found) > 0:
	case errors.Is(err, fs.ErrNotExist):
		s.note(config.Error, origin, "there is no directory %s, want a directory with workers", dir)
	case errors.Is(err, fs.ErrPermission):
		s.note(config.Error, origin, "the directory %s may not be read, want read permission for this user", dir)
	default:
		s.note(config.Error, origin, "the directory %s cannot be read (%v), want a directory with workers", dir, err)
	}
}

// holdsExcluded reports whether include and exclude have left out something that has a function's name.
func (s *scan) holdsExcluded(entries []fs.DirEntry) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !s.cfg.Included(functionOf(e.Name()))
	})
}

// functionOf returns the name of a file without its extension.
func functionOf(file string) string {
	name := filepath.Base(file)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// file adds the program that a file of a worker directory is, if it is one.
func (s *scan) file(path string, origin config.Origin) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		s.note(config.Error, origin, "the file %s cannot be read (%v), want a worker", path, err)
		return
	case !info.Mode().IsRegular():
		return
	}
	name := functionOf(path)
	f := s.cfg.Function(name)
	kind, mode := s.kind(path, info, f)
	if mode {
		origin = f.Origin("mode")
	}
	if kind == "" || kind != KindPlugin && !s.cfg.Included(name) {
		return
	}
	if err := config.CheckFunctionName(name); err != nil && kind != KindPlugin {
		s.note(config.Error, origin, "the file %s is not run: %v", path, err)
		return
	}
	if kind == KindPHP && !s.trusted(path, origin) || kind != KindPHP && !s.usable(path, origin) {
		return
	}
	p := Program{Path: path, Kind: kind, Pear: kind == KindPHP && f.Mode() == "pear", Origin: origin}
	if kind != KindPlugin {
		p.Functions = []string{name}
	}
	if kind == KindExec || kind == KindStandalone {
		p.Command = []string{path}
	}
	s.found = append(s.found, p)
}

// kind says what a file is, empty when it is no worker; mode is true when the config said so.
func (s *scan) kind(path string, info fs.FileInfo, f config.Function) (kind Kind, mode bool) {
	executable := info.Mode().Perm()&0o111 != 0
	switch f.Mode() {
	case "pear":
		return KindPHP, true
	case "":
		return s.look(path, executable), false
	default:
		return Kind(f.Mode()), true
	}
}

// look recognises a file of which the config says nothing.
func (s *scan) look(path string, executable bool) Kind {
	origin := s.cfg.Origin(config.GlobalSection, "worker_dir")
	if filepath.Ext(path) == ".php" {
		return KindPHP
	}
	if !executable {
		if h, err := readHead(path); err == nil && h.runnable() {
			s.note(config.Warning, origin, "the file %s looks like a program but is not executable, want chmod +x, or it moved away", path)
		}
		return ""
	}
	switch is, err := recognise(path); {
	case err != nil:
		return KindExec // whatever it is, usable says what is wrong with it
	case is == binaryManager:
		s.note(config.Warning, origin, "the file %s is the manager itself and no worker, want it moved away", path)
		return ""
	case is == binaryPlugin:
		return KindPlugin
	default:
		return KindExec
	}
}

// describe asks every plugin for its functions.
func (s *scan) describe(ctx context.Context, d Describer) {
	descriptions := make([]Description, len(s.found))
	faults := make([]error, len(s.found))
	var group errgroup.Group
	group.SetLimit(describeAtOnce)
	for i, p := range s.found {
		if p.Kind != KindPlugin {
			continue
		}
		group.Go(func() error {
			descriptions[i], faults[i] = describeOne(ctx, d, p.Path)
			return nil
		})
	}
	_ = group.Wait() // its functions return nil
	for i := range s.found {
		if p := &s.found[i]; p.Kind == KindPlugin {
			s.declare(p, descriptions[i], faults[i])
		}
	}
}

// describeOne asks one plugin.
func describeOne(ctx context.Context, d Describer, path string) (Description, error) {
	if d == nil {
		return Description{}, errors.New("plugins are not run here")
	}
	if err := ctx.Err(); err != nil {
		return Description{}, fmt.Errorf("describe plugin: %w", err)
	}
	return d.Describe(ctx, path)
}

// declare takes over the functions of a plugin that the config lets through.
func (s *scan) declare(p *Program, description Description, fault error) {
	if fault != nil {
		s.note(config.Error, p.Origin, "the plugin %s is not run: %v, want a plugin that says what it performs", p.Path, fault)
		return
	}
	if len(description.Functions) == 0 {
		s.note(config.Error, p.Origin, "the plugin %s performs no function, want at least one", p.Path)
	}
	p.Version = description.Version
	for _, name := range description.Functions {
		if err := config.CheckFunctionName(name); err != nil {
			s.note(config.Error, p.Origin, "the plugin %s: %v", p.Path, err)
			continue
		}
		if s.cfg.Included(name) && !slices.Contains(p.Functions, name) {
			p.Functions = append(p.Functions, name)
		}
	}
}

// settle gives each function to the first program that performs it, and returns the programs that have any.
func (s *scan) settle() []Program {
	owner := map[string]string{}
	var programs []Program
	for _, p := range s.found {
		var functions []string
		for _, name := range p.Functions {
			if first, taken := owner[name]; taken {
				s.conflict(name, first, p)
				continue
			}
			owner[name] = p.label()
			functions = append(functions, name)
		}
		if p.Functions = functions; len(functions) > 0 {
			programs = append(programs, p)
		}
	}
	return programs
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
	if line := s.cfg.SectionLine(name); line > 0 {
		origin = config.Origin{File: s.cfg.File(), Line: line, Section: name}
	}
	s.note(config.Error, origin, "two programs perform the function %s: %s, which is used, and %s, want one of them", name, first, second.label())
}
