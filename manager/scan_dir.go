package manager

import (
	"errors"
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
	if kind == KindExec && !s.sayable(origin, path) {
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
