package standalone

import (
	"sync"
	"time"
)

// sampler looks at the memory of workers from time to time.
type sampler struct {
	mu      sync.Mutex // taken before that of a worker
	workers map[*Worker]struct{}
	running bool // a timer is set, or its function is at work
}

// sampleEvery is how often the memory is looked at.
const sampleEvery = time.Second

// watch has the memory of a worker looked at for as long as it has a limit.
func (s *sampler) watch(w *Worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers[w] = struct{}{}
	if !s.running {
		s.running = true
		time.AfterFunc(sampleEvery, s.sample)
	}
}

// sample looks once, and sets the timer again if it has looked at anything.
func (s *sampler) sample() {
	watched := s.watched()
	for _, w := range watched {
		w.checkMemory()
	}
	if len(watched) > 0 {
		time.AfterFunc(sampleEvery, s.sample)
	}
}

// watched returns the workers that have a limit still, and forgets the others.
func (s *sampler) watched() []*Worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.workers {
		if w.memoryLimit() == 0 {
			delete(s.workers, w)
		}
	}
	watched := make([]*Worker, 0, len(s.workers))
	for w := range s.workers {
		watched = append(watched, w)
	}
	s.running = len(watched) > 0
	return watched
}
