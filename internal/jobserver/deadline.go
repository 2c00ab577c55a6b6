package jobserver

import (
	"container/heap"
	"time"
)

// deadlines are the jobs that something happens to at a time of their own: a
// scheduled one becomes runnable, a running one exceeds its function's limit.
// The earliest comes first. It implements heap.Interface.
type deadlines []*job

// Len is part of heap.Interface.
func (d deadlines) Len() int { return len(d) }

// Less is part of heap.Interface.
func (d deadlines) Less(a, b int) bool { return d[a].when.Before(d[b].when) }

// Swap is part of heap.Interface.
func (d deadlines) Swap(a, b int) {
	d[a], d[b] = d[b], d[a]
	d[a].slot, d[b].slot = a, b
}

// Push is part of heap.Interface.
func (d *deadlines) Push(x any) {
	j, ok := x.(*job)
	if !ok {
		return // only set calls it
	}
	j.slot = len(*d)
	*d = append(*d, j)
}

// Pop is part of heap.Interface.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	j := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	j.slot = -1
	return j
}

// set gives j a deadline, in place of the one it has.
func (d *deadlines) set(j *job, at time.Time) {
	d.clear(j)
	j.when = at
	heap.Push(d, j)
}

// clear takes j's deadline away, if it has one.
func (d *deadlines) clear(j *job) {
	if j.slot >= 0 {
		heap.Remove(d, j.slot)
	}
}

// next returns the moment of the earliest deadline; zero if there is none.
func (d deadlines) next() time.Time {
	if len(d) == 0 {
		return time.Time{}
	}
	return d[0].when
}
