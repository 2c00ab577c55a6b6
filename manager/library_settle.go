package manager

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gearman-manager/gearman-manager/config"
)

const (
	// settlePause is between two looks at a file that has changed, which have to find the same.
	settlePause = 50 * time.Millisecond
	// settleLimit is how long all are waited for. What changes longer is looked at another time, and the rest goes on.
	settleLimit = 2 * time.Second
	// settleAtOnce is how many files are waited for at a time.
	settleAtOnce = 16
)

// await waits until the files that are new or have changed since the last look are complete.
func (s *scan) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var fresh []string
	for _, path := range s.files() {
		if hash := s.sum(path); hash != s.lib.seen[path] && !slices.Contains(fresh, path) {
			fresh = append(fresh, path)
		}
	}
	clear(s.sums) // of what was not complete
	late := make([]bool, len(fresh))
	var group errgroup.Group
	group.SetLimit(settleAtOnce)
	for i, path := range fresh {
		group.Go(func() error {
			_, err := s.lib.sums.Settled(ctx, path, settlePause)
			late[i] = err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission)
			return nil
		})
	}
	_ = group.Wait() // its functions return nil
	for i, path := range fresh {
		if late[i] {
			s.unsettled[path] = true
		}
	}
}

// files are all whose content matters.
func (s *scan) files() (paths []string) {
	functions := slices.Concat([]string{""}, s.cfg.Sections())
	for _, dir := range s.cfg.WorkerDirs() {
		for _, path := range s.workersIn(dir) {
			paths = append(paths, path)
			functions = append(functions, functionOf(path))
		}
	}
	for _, name := range s.cfg.Sections() {
		if words := s.cfg.Function(name).Command(); len(words) > 0 {
			if path, err := findCommand(words[0]); err == nil {
				paths = append(paths, path)
			}
		}
	}
	for _, pattern := range watchPatterns(s.cfg, functions) {
		paths = append(paths, s.match(pattern)...)
	}
	return paths
}

// workersIn are the files of a worker directory that may be workers.
func (s *scan) workersIn(dir string) (paths []string) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(real)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		path, name := filepath.Join(real, entry.Name()), functionOf(entry.Name())
		info, err := os.Stat(path)
		if err != nil || ignored(entry.Name()) || !info.Mode().IsRegular() {
			continue
		}
		if filepath.Ext(path) == ".php" || info.Mode().Perm()&0o111 != 0 || s.cfg.Function(name).Mode() != "" || s.runs(filepath.Join(dir, entry.Name()), name) != nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// watchPatterns are those of the functions' watch, sorted.
func watchPatterns(cfg *config.Config, functions []string) (patterns []string) {
	for _, name := range functions {
		patterns = append(patterns, cfg.Function(name).Watch()...)
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}
