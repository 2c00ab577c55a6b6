package php

import (
	"strings"
	"time"
)

// DefaultSlowAfter is for how long a file may be loaded before somebody who watches
// wonders what is going on.
const DefaultSlowAfter = 5 * time.Second

// Slow says that the loading of worker files takes long, and goes on.
type Slow struct {
	Name  string        // of the worker that loads its files; empty in an Inspect
	Path  string        // of the file that is being loaded; empty if a worker loads several
	After time.Duration // for how long so far
	Limit time.Duration // after which it is given up
}

// watchSlow tells of s, with the times filled in, unless the returned function is
// called before. That function returns when nothing is being told.
func (h *Host) watchSlow(s Slow) (stop func()) {
	if h.cfg.Slow == nil || h.cfg.SlowAfter >= h.cfg.InitTimeout {
		return func() {}
	}
	s.After, s.Limit = h.cfg.SlowAfter, h.cfg.InitTimeout
	told := make(chan struct{})
	timer := time.AfterFunc(h.cfg.SlowAfter, func() {
		defer close(told)
		if h.firstSlow(s) {
			h.cfg.Slow(s)
		}
	})
	return func() {
		if !timer.Stop() {
			<-told
		}
	}
}

// firstSlow tells whether nothing was said yet of the workers that load the same: in
// a pool of fifty each is as slow as the others.
func (h *Host) firstSlow(s Slow) bool {
	if s.Name == "" {
		return true
	}
	pool, _, _ := strings.Cut(s.Name, "/")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slow[pool] {
		return false
	}
	h.slow[pool] = true
	return true
}
