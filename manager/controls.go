package manager

import (
	"maps"
	"slices"
	"sync"
)

// controls is what operators have set by hand. Its methods may be called from any
// goroutine; none of them waits for anything.
type controls struct {
	changed chan struct{} // gets a value after changes; one stands for many

	mu     sync.Mutex
	config string          // that the slots are of; empty: not known
	slot   map[string]int  // slots by function, or by name of a shared pool
	held   map[string]hold // by function
}

// hold is how a function is held.
type hold struct{ paused, drained bool }

// maxControls is how many functions and pools may have something set by hand, each.
const maxControls = 10_000

func newControls() *controls {
	return &controls{changed: make(chan struct{}, 1), slot: map[string]int{}, held: map[string]hold{}}
}

// scales returns the slots that are set, by function or name of a shared pool.
func (c *controls) scales() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.slot)
}

// setScales sets slots beside those that are set. It tells whether there is room for
// all; none is set otherwise.
func (c *controls) setScales(slots map[string]int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := maps.Clone(c.slot)
	maps.Copy(next, slots)
	if len(next) > maxControls {
		return false
	}
	c.slot = next
	c.touch()
	return true
}

// belong says which config the fleet has, by a hash of it. Slots that were set with
// another one are forgotten, and what they were set for is returned, by name: they hold
// until the config changes, also while no manager runs.
func (c *controls) belong(config string) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config == config {
		return nil
	}
	if c.config != "" {
		names = slices.Sorted(maps.Keys(c.slot))
		c.slot = map[string]int{}
	}
	c.config = config
	c.touch()
	return names
}

// configOf is what belong was told.
func (c *controls) configOf() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.config
}

// clearScales forgets all slots that are set, and returns what they were set for, by
// name.
func (c *controls) clearScales() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.slot) == 0 {
		return nil
	}
	names = slices.Sorted(maps.Keys(c.slot))
	c.slot = map[string]int{}
	c.touch()
	return names
}

// hold tells how a function is held.
func (c *controls) hold(function string) (paused, drained bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[function]
	return h.paused, h.drained
}

// setPaused notes that a function is paused, and tells whether there was room for it.
func (c *controls) setPaused(function string) bool {
	return c.set(function, func(h *hold) { h.paused = true })
}

// setDrained notes that a function is drained, and tells whether there was room for it.
func (c *controls) setDrained(function string) bool {
	return c.set(function, func(h *hold) { h.drained = true })
}

func (c *controls) set(function string, change func(*hold)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, known := c.held[function]
	if !known && len(c.held) >= maxControls {
		return false
	}
	before := h
	change(&h)
	if h != before {
		c.held[function] = h
		c.touch()
	}
	return true
}

// release forgets that a function is paused or drained, and tells what it was.
func (c *controls) release(function string) (paused, drained bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, known := c.held[function]
	if known {
		delete(c.held, function)
		c.touch()
	}
	return h.paused, h.drained
}

// paused returns the functions that are paused, by name.
func (c *controls) paused() []string { return c.which(func(h hold) bool { return h.paused }) }

// drained returns the functions that are drained, by name.
func (c *controls) drained() []string { return c.which(func(h hold) bool { return h.drained }) }

func (c *controls) which(is func(hold) bool) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, h := range c.held {
		if is(h) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// restore puts what an earlier manager knew in place of what is set. It is called before
// there are workers.
func (c *controls) restore(from controlsFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config, c.slot, c.held = from.Config, map[string]int{}, map[string]hold{}
	for _, s := range from.Scales {
		c.slot[s.Name] = s.Slots
	}
	for _, name := range from.Paused {
		c.held[name] = hold{paused: true}
	}
	for _, name := range from.Drained {
		c.held[name] = hold{paused: c.held[name].paused, drained: true}
	}
}

// touch has all of it written again. It needs no lock.
func (c *controls) touch() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
