package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/trust"
)

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
	case trust.OpenToAll(info):
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
		if !ignored(entry.Name()) {
			s.file(filepath.Join(real, entry.Name()), filepath.Join(dir, entry.Name()), origin)
		}
	}
	if len(s.found)+len(s.problems) == before && !s.holdsExcluded(entries) {
		s.note(config.Warning, origin, "the directory %s holds no worker, want .php files or executables", dir)
	}
}

// ignored reports whether a file in a worker directory is none of the workers: it is hidden, or an editor's own.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || name == "4913" || // vim tries with it whether it may write
		strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#")
}

// badDirectory notes a directory that cannot be read. What runs from it goes on. The default one may be missing where the config names commands.
func (s *scan) badDirectory(dir string, origin config.Origin, err error) {
	if errors.Is(err, fs.ErrNotExist) && origin.IsDefault() && len(s.found) > 0 && !s.runsFrom(dir) {
		return
	}
	var why string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = fmt.Sprintf("there is no directory %s, want a directory with workers", dir)
	case errors.Is(err, fs.ErrPermission):
		why = fmt.Sprintf("the directory %s may not be read, want read permission for this user", dir)
	default:
		why = fmt.Sprintf("the directory %s cannot be read (%v), want a directory with workers", dir, err)
	}
	if s.keepAll(dir, why) {
		why += "; what runs goes on"
	}
	s.note(config.Error, origin, "%s", why)
}

// holdsExcluded reports whether include and exclude have left out something that has a function's name.
func (s *scan) holdsExcluded(entries []fs.DirEntry) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && !ignored(e.Name()) && !s.cfg.Included(functionOf(e.Name()))
	})
}

// functionOf returns the name of a file without its extension.
func functionOf(file string) string {
	name := filepath.Base(file)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// file adds the program that a file of a worker directory is, if it is one.
func (s *scan) file(path, named string, origin config.Origin) {
	name := functionOf(path)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		s.badFile(path, named, origin, err)
		return
	case !info.Mode().IsRegular():
		return
	}
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
	if !s.trusted(path, origin) || kind == KindExec && !s.sayable(origin, path) {
		return
	}
	p := Program{Path: path, Named: named, Kind: kind, Pear: kind == KindPHP && f.Mode() == "pear", Origin: origin}
	if kind != KindPlugin {
		p.Functions = []string{name}
	}
	if kind == KindExec || kind == KindStandalone {
		p.Command = []string{path}
	}
	s.add(candidate{Program: p, runs: s.runs(named, name)})
}

// badFile refuses a file that cannot be looked at. One that is gone by now is none.
func (s *scan) badFile(path, named string, origin config.Origin, err error) {
	if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrNotExist) {
		return
	}
	s.refuse(candidate{Program: Program{Path: path, Named: named, Origin: origin}, runs: s.runs(named, functionOf(path))},
		"the file %s cannot be read (%v), want a worker", path, err)
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
	switch is, err := s.lib.recognise(path, s.sum(path)); {
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
