package manager

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/content"
)

// library looks for programs again and again, and remembers what it has found out about their contents. Where nothing has changed, a look costs a stat for
// each file. Its methods may be called from any goroutine; looks are taken one after another.
type library struct {
	store     *content.Store // nil: plugins run in place
	describer Describer
	inspector Inspector
	emit      func(Event)
	sums      *content.Sums
	now       func() time.Time

	mu          sync.Mutex            // guards what follows
	seen        map[string]string     // hashes of the files of the last look, by path
	known       map[string]*knowledge // by hash
	inspected   map[inspectedFile]*inspection
	interpreter string // that has inspected them
	copies      map[copyKey]content.Copy
	told        map[string]string // why plugins run in place, by path
	latest      []Program         // that the last look has found
}

// lookAt says what a look is after.
type lookAt struct {
	// code is set to take changed code of programs that run. New programs, and those that are gone, are taken in any case.
	code bool
	// settled is set to wait until files are complete.
	settled bool
	// again is set to look again at once at what was found broken, since what it depends on may have been mended. It is in a while anyway.
	again bool
}

// newLibrary makes a library that keeps private copies of plugins in store; with a nil store they run in place. Events are emitted during a look.
func newLibrary(store *content.Store, d Describer, in Inspector, emit func(Event)) *library {
	return &library{
		store: store, describer: d, inspector: in, emit: emit, sums: content.NewSums(), now: time.Now,
		seen: map[string]string{}, known: map[string]*knowledge{}, inspected: map[inspectedFile]*inspection{},
		copies: map[copyKey]content.Copy{}, told: map[string]string{},
	}
}

// look finds the programs of a config, as [Scan] does, and fills in their hashes and private copies. It blocks while files are read, plugins are asked and
// PHP files are loaded, each content once, and with settled for some time where files have changed.
//
// A program that is broken is taken as it runs, if it is among running: its Fault says why, and so does a problem. So are those of a worker directory that
// cannot be looked at. Without code so is what has changed. Programs that may not be run, since others can write to them, are left out, whatever runs.
func (l *library) look(ctx context.Context, cfg *config.Config, running []Program, how lookAt) ([]Program, []config.Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	running = slices.DeleteFunc(slices.Clone(running), func(p Program) bool { return p.Broken })
	s := &scan{cfg: cfg, lib: l, how: how, running: running, sums: map[string]string{}, unsettled: map[string]bool{}, matches: map[string][]string{}}
	if how.settled {
		s.await(ctx)
	}
	s.commands()
	for _, dir := range cfg.WorkerDirs() {
		s.directory(dir)
	}
	s.describe(ctx)
	s.settle()
	for i := range s.found {
		s.fingerprint(&s.found[i])
		s.holdBack(&s.found[i])
	}
	s.inspect(ctx)
	l.seen, l.latest = s.sums, s.programs()
	l.forget(running)
	return slices.Clone(l.latest), s.problems
}

// programs are those that were found.
func (s *scan) programs() (programs []Program) {
	for _, c := range s.found {
		programs = append(programs, c.Program)
	}
	return programs
}

// watched are the files, directories and patterns whose changes may change what a look finds or what the config says.
func (l *library) watched(cfg *config.Config) []string {
	paths := slices.Concat(cfg.Files(), cfg.IncludePatterns(), cfg.WorkerDirs(), watchPatterns(cfg, append(cfg.Sections(), "")))
	for _, dir := range cfg.WorkerDirs() {
		paths = append(paths, linksIn(dir)...)
	}
	for _, name := range cfg.Sections() {
		words := cfg.Function(name).Command()
		if len(words) == 0 {
			continue
		}
		path, err := findCommand(words[0])
		if err != nil && filepath.IsAbs(words[0]) {
			path, err = words[0], nil
		}
		if err == nil {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// linksIn are the files of a worker directory that are symbolic links: what they lead to may change elsewhere.
func linksIn(dir string) (paths []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if entry.Type()&os.ModeSymlink != 0 && !ignored(entry.Name()) {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	return paths
}
