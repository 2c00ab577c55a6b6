package manager

import (
	"context"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// phpBridge is the host of package php as a pool sees it.
type phpBridge struct {
	path string
	host *php.Host
	emit func(Event)
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

// Inspect implements Inspector.
func (b *phpBridge) Inspect(ctx context.Context, files []PHPFile) ([]PHPFault, error) {
	found, err := b.host.Probe(ctx)
	if err != nil {
		return nil, err
	}
	b.emit(PHPFound{Path: b.path, Version: found.Version, Fork: found.Pcntl, Opcache: found.Opcache})
	var list []php.File
	for _, f := range files {
		list = append(list, php.File(f))
	}
	findings, err := b.host.Inspect(ctx, list)
	if err != nil {
		return nil, err
	}
	var faults []PHPFault
	for _, f := range findings {
		faults = append(faults, PHPFault{Path: f.Path, Problem: f.Err, File: f.File, Line: f.Line})
	}
	return faults, nil
}

// Start starts a worker and returns when it has said hello.
func (b *phpBridge) Start(ctx context.Context, launch host.Launch) (process, error) {
	w, err := b.host.Start(ctx, launch)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Renew has the workers from now on forked by a php that loads their files anew.
func (b *phpBridge) Renew(ctx context.Context) error { return b.host.Renew(ctx) }

// Close ends the php that workers are forked from.
func (b *phpBridge) Close() error { return b.host.Close() }
