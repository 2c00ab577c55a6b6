package jobserver

import (
	"slices"
	"strings"
)

// function is a name that jobs are submitted for and workers register for. It
// exists from its first mention until it is dropped by an operator.
type function struct {
	name    string
	shown   string // to operators: up to a NUL
	waiting [priorities]list
	queued  [priorities]uint32 // jobs in waiting or scheduled
	total   uint32             // jobs, running ones included
	running uint32
	limit   [priorities]uint32 // of total; 0 is none

	workers []*ability // in the order of registration, taking turns
	turn    int        // index of the one that is woken first next time

	uniques map[string]*job // jobs by unique key
	byData  map[uint64]*job // jobs with unique "-", by hash of their data
}

// newFunction returns an empty function.
func newFunction(name string) *function {
	shown, _, _ := strings.Cut(name, "\x00")
	return &function{name: name, shown: shown, uniques: map[string]*job{}, byData: map[uint64]*job{}}
}

// first returns the job to run next; nil if none is runnable.
func (f *function) first() *job {
	for p := range f.waiting {
		if j := f.waiting[p].head; j != nil {
			return j
		}
	}
	return nil
}

// full reports whether another job of priority p is over the function's limit.
func (f *function) full(p priority) bool {
	return f.limit[p] > 0 && f.total >= f.limit[p]
}

// addWorker registers an ability.
func (f *function) addWorker(a *ability) {
	// The end of the ring is the place before the one whose turn it is.
	f.workers = slices.Insert(f.workers, f.turn, a)
	if len(f.workers) > 1 {
		f.turn++
	}
}

// removeWorker takes an ability out, keeping the turn of the others.
func (f *function) removeWorker(a *ability) {
	i := slices.Index(f.workers, a)
	if i < 0 {
		return
	}
	f.workers = slices.Delete(f.workers, i, i+1)
	if i < f.turn {
		f.turn--
	}
	if f.turn >= len(f.workers) {
		f.turn = 0
	}
}
