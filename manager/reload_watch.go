package manager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/watch"
)

// rescanned is the reason of a reload that nobody has asked for.
const rescanned = "files have changed"

// watch has changes of files applied, as far as the config wants that, and watches what it
// names by now. What it starts ends when the manager is stopped. It is for who has the turn.
func (m *Manager) watch() {
	state := m.now()
	if m.watcher == nil {
		if m.cfg.Plan != nil || !m.wantsWatch(state.settings) {
			return
		}
		w := watch.New(watch.Config{OnProblem: func(err error) { m.emit(WatchLost{Err: err}) }})
		m.watcher = w
		m.background.Go(func() {
			defer func() { _ = w.Close() }() // it says only that a file system hangs
			m.inFleet(func(ctx context.Context) { m.follow(ctx, w) })
		})
	}
	m.watcher.Set(m.watched(state))
}

// watched are the paths whose changes may change the fleet.
func (m *Manager) watched(state fleetState) []string {
	paths := m.library.watched(state.settings)
	if state.disk.refused { // it may include other files
		paths = slices.Concat(paths, state.disk.settings.Files(), state.disk.settings.IncludePatterns())
		slices.Sort(paths)
		paths = slices.Compact(paths)
	}
	return paths
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
		for more := true; more; {
			more = m.followOnce(ctx)
		}
	}
}

// followOnce applies what has changed, and tells whether by that there may be more to
// apply: a config that has changed may have programs taken from now on.
func (m *Manager) followOnce(ctx context.Context) (more bool) {
	was := m.now()
	req := ReloadRequest{Code: was.settings.AutoUpdate()}
	if was.settings.ReloadConfig() && m.cfg.Reload != nil && m.configSum(was.disk.settings) != was.disk.sum {
		req.Config = true
	}
	if !req.Config && !req.Code {
		return false
	}
	if _, err := m.reload(ctx, req, rescanned, ""); err != nil {
		if !errors.Is(err, ErrNotRunning) {
			m.emit(InternalError{Where: "reload", Panic: err.Error()})
		}
		return false
	}
	return !req.Code && m.now().settings.AutoUpdate()
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
