package manager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/watch"
)

// rescanned is the reason of a reload that nobody has asked for.
const rescanned = "files have changed"

// watch has changes of files applied, as far as the config wants that. What it starts ends
// when the manager is stopped. It is for who has the turn.
func (m *Manager) watch() {
	settings := m.now().settings
	if m.watching || m.cfg.Plan != nil || !m.wantsWatch(settings) {
		return
	}
	m.watching = true
	w := watch.New(watch.Config{OnProblem: func(err error) { m.emit(WatchLost{Err: err}) }})
	w.Set(m.library.watched(settings))
	m.background.Go(func() {
		defer func() { _ = w.Close() }() // it says only that a file system hangs
		m.inFleet(func(ctx context.Context) { m.follow(ctx, w) })
	})
}

// wantsWatch tells whether changes of files are to be applied by themselves.
func (m *Manager) wantsWatch(settings *config.Config) bool {
	return settings.AutoUpdate() || settings.ReloadConfig() && m.cfg.Reload != nil
}

// follow applies changes as they are hinted at. The hint says only that it is worth to
// look.
func (m *Manager) follow(ctx context.Context, w *watch.Watcher) {
	for {
		select {
		case <-m.stopping:
			return
		case <-w.Changes():
		}
		m.mu.Lock()
		m.state.reload.Polling = w.Polling()
		m.mu.Unlock()
		was := m.now()
		req := ReloadRequest{Code: was.settings.AutoUpdate()}
		if was.settings.ReloadConfig() && m.cfg.Reload != nil && m.configSum(was.settings) != was.sum {
			req.Config = true
		}
		if !req.Config && !req.Code {
			continue
		}
		if _, err := m.reload(ctx, req, rescanned, ""); err == nil {
			w.Set(m.library.watched(m.now().settings))
		}
	}
}

// configSum changes when a file of the config does, or one comes or goes that it includes.
func (m *Manager) configSum(settings *config.Config) string {
	files := settings.Files()
	for _, pattern := range settings.IncludePatterns() {
		matches, err := filepath.Glob(pattern)
		if err == nil {
			files = append(files, matches...)
		}
	}
	slices.Sort(files)
	sum := sha256.New()
	for _, file := range slices.Compact(files) {
		content, err := m.library.sums.File(file)
		_, _ = fmt.Fprintf(sum, "%s\x00%s\x00%v\x00", file, content, err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
