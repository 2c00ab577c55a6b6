package control

import (
	"fmt"
	"sync"
	"time"
)

const (
	digestFirst = 5           // changes that are told each by itself
	digestEvery = time.Second // how often one of the others is told
)

// digest tells of changes, and of many of them in few words: the first ones are told, and
// then the last one of each second with their number. When a second has passed without
// more, one more may be told by itself. Its methods may be called from any goroutine;
// they block while it tells.
type digest struct {
	tell func(Change)

	mu     sync.Mutex
	told   int         // by themselves, of digestFirst
	more   int         // that are to be told
	last   Change      // of those
	timer  *time.Timer // nil if nothing is waited for
	closed bool
}

func newDigest(tell func(Change)) *digest { return &digest{tell: tell} }

// add tells of a change, now or later.
func (d *digest) add(c Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if d.timer == nil {
		d.timer = time.AfterFunc(digestEvery, d.turn)
	}
	if d.told < digestFirst {
		d.told++
		d.tell(c)
		return
	}
	d.more++
	d.last = c
}

// turn is called each second while there is something to forget or to tell.
func (d *digest) turn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if d.more == 0 {
		d.told--
	}
	d.flush()
	if d.timer = nil; d.told > 0 {
		d.timer = time.AfterFunc(digestEvery, d.turn)
	}
}

// flush tells what was not told. It is called with the lock.
func (d *digest) flush() {
	if d.more == 0 {
		return
	}
	c := d.last
	if d.more > 1 {
		if c.What != "" {
			c.What += "; "
		}
		c.What += fmt.Sprintf("the last of %d requests that were not done", d.more)
	}
	d.more = 0
	d.tell(c)
}

// close tells what was not told, and of nothing any more.
func (d *digest) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	d.flush()
}
