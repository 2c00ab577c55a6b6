package plugins

import "sync"

// company is what the jobs of a process run in: together, or a suspect one
// alone, so that a job that kills its worker takes no other with it. A job that
// has a process of its own kills nobody else; see suspectList.dangerous.
type company struct {
	mu      sync.Mutex
	changed *sync.Cond
	jobs    int // in hand
	waiting int // suspects that wait until they are alone
	alone   bool
	jammed  bool
}

func newCompany() *company {
	c := &company{}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// join waits until a job may run, alone or not. It reports false if that may
// be never, since a job of this process does not end.
func (c *company) join(alone bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if alone {
		c.waiting++
		defer func() { c.waiting-- }()
	}
	for !c.admits(alone) {
		if c.jammed {
			return false
		}
		c.changed.Wait()
	}
	c.jobs++
	c.alone = alone
	return true
}

// admits reports whether a job may run now. The caller holds mu.
func (c *company) admits(alone bool) bool {
	if alone {
		return c.jobs == 0
	}
	return !c.alone && c.waiting == 0
}

// leave ends what join began.
func (c *company) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs--
	c.alone = false
	c.changed.Broadcast()
}

// jam says that a job does not end.
func (c *company) jam() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jammed = true
	c.changed.Broadcast()
}
