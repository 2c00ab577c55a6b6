package manager

import (
	"context"
	"sync"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// phpBridge is the host of package php as the manager sees it.
type phpBridge struct {
	host *php.Host
	emit func(Event)

	mu    sync.Mutex
	path  string
	found php.Interpreter // as it was told last
}

// phpVersion is a generation of PHP workers.
type phpVersion struct {
	gen *php.Generation
}

// openPHP makes the host of PHP workers for the interpreter at path. No php is
// started.
func (m *Manager) openPHP(path string) (phpHost, error) {
	h, err := php.New(php.Config{
		Supervisor: m.sup, Dir: m.dir.path, Path: path, Env: m.env,
		Args: m.cfg.Settings.PHPArgs(), Preload: m.cfg.Settings.PHPPreload(),
		Slow:   func(s php.Slow) { m.emit(PHPSlow{Worker: s.Name, Path: s.Path, After: s.After, Limit: s.Limit}) },
		Output: func(stream, line string) { m.emit(PHPPrinted{Stream: stream, Line: line}) },
	})
	if err != nil {
		return nil, err
	}
	return &phpBridge{path: path, host: h, emit: m.emit}, nil
}

// Inspect implements Inspector. What the interpreter is, is told once, and again if it
// has become another.
func (b *phpBridge) Inspect(ctx context.Context, files []PHPFile) ([]PHPFault, error) {
	found, err := b.host.Probe(ctx)
	if err != nil {
		return nil, err
	}
	if path, isNew := b.isNew(found); isNew {
		b.emit(PHPFound{Path: path, Version: found.Version, Fork: found.Pcntl, Opcache: found.Opcache})
	}
	findings, err := b.host.Inspect(ctx, phpFiles(files))
	if err != nil {
		return nil, err
	}
	var faults []PHPFault
	for _, f := range findings {
		faults = append(faults, PHPFault{Path: f.Path, Problem: f.Err, File: f.File, Line: f.Line})
	}
	return faults, nil
}

func (b *phpBridge) isNew(found php.Interpreter) (path string, isNew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.found
	b.found = found
	return b.path, was != found
}

// Use has another php started for the generations from now on, and for inspections.
func (b *phpBridge) Use(path string, args []string, preload bool) {
	b.mu.Lock()
	b.path, b.found = path, php.Interpreter{}
	b.mu.Unlock()
	b.host.Use(php.Command{Path: path, Args: args, Preload: preload})
}

func phpFiles(files []PHPFile) []php.File {
	var list []php.File
	for _, f := range files {
		list = append(list, php.File(f))
	}
	return list
}

// Generation starts nothing yet.
func (b *phpBridge) Generation() phpGeneration { return &phpVersion{gen: b.host.Generation()} }

// Close ends what workers are forked from.
func (b *phpBridge) Close() error { return b.host.Close() }

// Start starts a worker and returns when it has said hello.
func (v *phpVersion) Start(ctx context.Context, launch host.Launch) (process, error) {
	w, err := v.gen.Start(ctx, launch)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Warm has the workers of the generation run the files as the disk holds them now.
func (v *phpVersion) Warm(ctx context.Context, files []PHPFile) error {
	return v.gen.Warm(ctx, phpFiles(files))
}

// Close ends what the workers of the generation are forked from. They live on.
func (v *phpVersion) Close() error { return v.gen.Close() }
