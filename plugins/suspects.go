package plugins

import (
	"sync"
	"sync/atomic"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// jobKey knows a job again.
type jobKey struct {
	server, handle string
	hash           uint64
}

func keyOf(id *workerpb.JobID) jobKey {
	return jobKey{id.GetServer(), id.GetHandle(), id.GetHash()}
}

// suspectList holds the jobs that were in hand when a worker died.
type suspectList struct {
	count   atomic.Int64 // so that the usual case, none, costs nothing
	mu      sync.Mutex
	jobs    map[jobKey]*workerpb.SuspectJob
	waiting map[jobKey]chan struct{}
	// isolated are those that this worker has seen to end without harm to others:
	// what performed them had a process of its own.
	isolated map[jobKey]bool
}

func newSuspectList(list []*workerpb.SuspectJob) *suspectList {
	l := &suspectList{
		jobs: map[jobKey]*workerpb.SuspectJob{}, waiting: map[jobKey]chan struct{}{}, isolated: map[jobKey]bool{},
	}
	l.change(list, nil)
	return l
}

// change adds jobs and takes jobs back.
func (l *suspectList) change(add []*workerpb.SuspectJob, remove []*workerpb.JobID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range add {
		key := keyOf(s.GetJob())
		l.jobs[key] = s
		if c := l.waiting[key]; c != nil {
			close(c)
			delete(l.waiting, key)
		}
	}
	for _, id := range remove {
		delete(l.jobs, keyOf(id))
		delete(l.isolated, keyOf(id))
	}
	l.count.Store(int64(len(l.jobs)))
}

// find returns what is known of a job, or nil.
func (l *suspectList) find(key jobKey) *workerpb.SuspectJob {
	if l.count.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs[key]
}

// dangerous reports whether a job is to run alone in its process.
func (l *suspectList) dangerous(key jobKey) bool {
	if l.count.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs[key] != nil && !l.isolated[key]
}

// forget ends the wait of news.
func (l *suspectList) forget(key jobKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, key)
	delete(l.isolated, key)
}

// news notes that a job is isolated, and returns a channel that is closed when it
// is added next.
func (l *suspectList) news(key jobKey) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isolated[key] = true
	c := l.waiting[key]
	if c == nil {
		c = make(chan struct{})
		l.waiting[key] = c
	}
	return c
}
