package manager

import (
	"context"
	"errors"
	"sync"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// phpBridge is the host of package php as the manager sees it.
type phpBridge struct {
	path string
	host *php.Host
	emit func(Event)

	mu      sync.Mutex
	found   php.Interpreter // as it was told last
	current *phpVersion
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
	return &phpBridge{path: path, host: h, emit: m.emit, current: &phpVersion{gen: h.Generation()}}, nil
}

// Inspect implements Inspector. What the interpreter is, is told once, and again if it
// has become another.
func (b *phpBridge) Inspect(ctx context.Context, files []PHPFile) ([]PHPFault, error) {
	found, err := b.host.Probe(ctx)
	if err != nil {
		return nil, err
	}
	if b.isNew(found) {
		b.emit(PHPFound{Path: b.path, Version: found.Version, Fork: found.Pcntl, Opcache: found.Opcache})
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

func (b *phpBridge) isNew(found php.Interpreter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.found
	b.found = found
	return was != found
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

// Start starts a worker of the generation that is replaced by Renew.
func (b *phpBridge) Start(ctx context.Context, launch host.Launch) (process, error) {
	for {
		v := b.version()
		w, err := v.Start(ctx, launch)
		if errors.Is(err, php.ErrClosed) && b.version() != v {
			continue // it has been replaced meanwhile
		}
		return w, err
	}
}

func (b *phpBridge) version() *phpVersion {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current
}

// Renew has the workers from now on forked by a php that loads their files anew.
func (b *phpBridge) Renew(context.Context) error {
	b.mu.Lock()
	old := b.current
	b.current = &phpVersion{gen: b.host.Generation()}
	b.mu.Unlock()
	return old.Close()
}

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
