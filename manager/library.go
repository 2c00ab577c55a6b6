package manager

import (
	"context"
	"sync"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/content"
)

// library looks for programs again and again, and remembers what it has found out about their contents.
type library struct {
	store     *content.Store // nil: programs run in place
	describer Describer
	inspector Inspector
	emit      func(Event)
	sums      *content.Sums

	mu sync.Mutex
}

// lookAt says what a look is after.
type lookAt struct {
	// code is set to take changed code of programs that run.
	code bool
	// settled is set to wait until files are complete.
	settled bool
	// again is set to look again at once at what was found broken, in case that what it depends on was mended.
	again bool
}

// newLibrary makes a library that keeps private copies of plugins in store.
func newLibrary(store *content.Store, d Describer, in Inspector, emit func(Event)) *library {
	return &library{store: store, describer: d, inspector: in, emit: emit, sums: content.NewSums()}
}

// look finds the programs of a config.
func (l *library) look(ctx context.Context, cfg *config.Config, _ []Program, _ lookAt) ([]Program, []config.Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Scan(ctx, cfg, l.describer, l.inspector)
}

// watched are the files, directories and patterns whose changes may change what look finds.
func (l *library) watched(cfg *config.Config) []string {
	return append(cfg.Files(), cfg.WorkerDirs()...)
}

// prune removes the private copies that no plan uses.
func (l *library) prune(...*Plan) {}
