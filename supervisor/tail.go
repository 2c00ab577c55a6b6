package supervisor

import (
	"slices"
	"time"
)

// ring keeps the last lines and reuses their memory.
type ring struct {
	size int
	kept []keptLine
	next int // the oldest line, once there are size of them
}

type keptLine struct {
	text []byte
	at   time.Time // it was read
}

func (r *ring) add(line []byte, at time.Time) {
	switch {
	case r.size == 0:
	case len(r.kept) < r.size:
		r.kept = append(r.kept, keptLine{text: slices.Clone(line), at: at})
	default:
		oldest := &r.kept[r.next]
		oldest.text, oldest.at = append(oldest.text[:0], line...), at
		r.next = (r.next + 1) % r.size
	}
}

// each gives the lines, oldest first. The bytes are the ring's own.
func (r *ring) each(yield func(keptLine)) {
	for i := range r.kept {
		yield(r.kept[(r.next+i)%len(r.kept)])
	}
}

// LastLines returns what Tail does of several outputs, in the order in which the
// lines were read: about that in which they were written. No order is known of what
// was written within the same moment to different outputs. A nil output has no lines.
func LastLines(outputs ...*Output) []string {
	type line struct {
		text string
		at   time.Time
	}
	var all []line
	for _, o := range outputs {
		if o == nil {
			continue
		}
		o.mu.Lock()
		o.tail.each(func(k keptLine) { all = append(all, line{string(k.text), k.at}) })
		o.mu.Unlock()
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.at.Compare(b.at) })
	texts := make([]string, 0, len(all))
	for _, l := range all {
		texts = append(texts, l.text)
	}
	return texts
}
