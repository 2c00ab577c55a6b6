package manager

import "slices"

// ring is a queue of at most so many events, which is at least 1, in which a new one
// pushes out the oldest. It takes memory as it fills.
type ring struct {
	most  int
	items []Stamped // those that are there begin at first and go round
	first int
	size  int
}

// push adds an event and returns the one that it pushed out, if it did.
func (r *ring) push(e Stamped) (old Stamped, out bool) {
	if r.size == r.most {
		old, out = r.pop()
	}
	if r.size == len(r.items) {
		r.grow()
	}
	r.items[(r.first+r.size)%len(r.items)] = e
	r.size++
	return old, out
}

func (r *ring) grow() {
	all := r.after(0)
	r.items = append(all, make([]Stamped, min(max(len(all), 8), r.most-len(all)))...)
	r.first = 0
}

// pop takes the oldest event out, if there is one.
func (r *ring) pop() (e Stamped, ok bool) {
	if r.size == 0 {
		return Stamped{}, false
	}
	e, r.items[r.first] = r.items[r.first], Stamped{}
	r.first = (r.first + 1) % len(r.items)
	r.size--
	return e, true
}

// clear takes all events out.
func (r *ring) clear() { *r = ring{most: r.most} }

// after returns a copy of the events after a number, oldest first.
func (r *ring) after(seq uint64) []Stamped {
	end := min(r.first+r.size, len(r.items))
	all := append(slices.Clone(r.items[r.first:end]), r.items[:r.size-(end-r.first)]...)
	i, _ := slices.BinarySearchFunc(all, seq, func(e Stamped, seq uint64) int {
		if e.Seq <= seq {
			return -1
		}
		return 1
	})
	return all[i:]
}
