package watch

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// maxPaths bounds how many paths a Change names.
const maxPaths = 64

// burst collects the events that count. It is filled by the goroutine that reads them and emptied by the loop.
type burst struct {
	// plan says which events count. It is replaced by the loop.
	plan atomic.Pointer[plan]
	// wake says that there is something to take. Capacity 1.
	wake chan struct{}

	mu sync.Mutex
	// got is what has been collected.
	got collected
}

// collected is what came since it was last taken.
type collected struct {
	paths map[string]bool
	// some says that an event counted, more that not all paths are in paths.
	some, more bool
	// lost says that events were lost.
	lost bool
	// gone are directories that may not be watched any more, since they were moved or removed.
	gone []string
	// broken is an error after which no events can be expected.
	broken error
}

// newBurst returns one in which nothing counts.
func newBurst() *burst { return &burst{wake: make(chan struct{}, 1)} }

// take returns what was collected and begins anew.
func (b *burst) take() collected {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = collected{}
	return got
}

// peek returns what was collected so far, without its paths.
func (b *burst) peek() (some, lost bool, broken error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.some, b.got.lost, b.got.broken
}

// read collects until the notifier is closed. It never waits for the loop: the loop may be waiting for the notifier.
func (b *burst) read(n notifier) {
	events, errs := n.events(), n.errors()
	for events != nil || errs != nil {
		select {
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			b.event(e)
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			b.fault(err)
		}
	}
}

// event collects an event if it counts.
func (b *burst) event(e fsnotify.Event) {
	path := filepath.Clean(e.Name)
	if !b.plan.Load().counts(path) {
		return
	}
	b.mu.Lock()
	b.got.add(path)
	if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		b.got.leave(path)
	}
	b.mu.Unlock()
	signal(b.wake)
}

// fault collects an error. That a directory is gone before the notifier could forget it is the same to us as lost events.
func (b *burst) fault(err error) {
	b.mu.Lock()
	b.got.some, b.got.more = true, true
	if errors.Is(err, fsnotify.ErrEventOverflow) || errors.Is(err, unix.EINVAL) {
		b.got.lost = true
	} else {
		b.got.broken = err
	}
	b.mu.Unlock()
	signal(b.wake)
}

// add notes a path.
func (c *collected) add(path string) {
	c.some = true
	switch {
	case c.paths[path]:
	case len(c.paths) >= maxPaths:
		c.more = true
	default:
		if c.paths == nil {
			c.paths = make(map[string]bool)
		}
		c.paths[path] = true
	}
}

// leave notes a directory that may be gone. Where there are many, all are looked at.
func (c *collected) leave(path string) {
	if len(c.gone) < maxPaths {
		c.gone = append(c.gone, path)
		return
	}
	c.lost = true
}

// change returns the Change that says what was collected.
func (c collected) change() Change {
	return Change{Paths: slices.Sorted(maps.Keys(c.paths)), More: c.more}
}

// merge returns one Change for two.
func merge(a, b Change) Change {
	paths := slices.Concat(a.Paths, b.Paths)
	slices.Sort(paths)
	paths = slices.Compact(paths)
	more := a.More || b.More || len(paths) > maxPaths
	return Change{Paths: slices.Clip(paths[:min(len(paths), maxPaths)]), More: more, Rescan: a.Rescan && b.Rescan}
}
