package standalone

import (
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// limit sets the limits of a worker, from the beginning or later.
func (w *Worker) limit(limits *workerpb.Limits) {
	w.mu.Lock()
	w.lifetime = time.Duration(min(limits.GetMaxLifetimeMs(), maxMilliseconds)) * time.Millisecond
	w.memory = limits.GetMaxMemory()
	w.watchAge()
	w.mu.Unlock()
	if w.memoryLimit() > 0 {
		w.host.memory.watch(w)
	}
}

// maxMilliseconds is the longest duration in milliseconds, 292 years.
const maxMilliseconds = uint64(1<<63-1) / uint64(time.Millisecond)

// watchAge sets the timer of the lifetime. The lock is held.
func (w *Worker) watchAge() {
	if w.age != nil {
		w.age.Stop()
		w.age = nil
	}
	if w.lifetime > 0 && !w.retired && !w.over {
		w.age = time.AfterFunc(time.Until(w.proc.Started().Add(w.lifetime)), w.checkAge)
	}
}

// checkAge is called when a lifetime is over, perhaps by a timer that was too late
// to be stopped.
func (w *Worker) checkAge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if age := time.Since(w.proc.Started()); w.lifetime > 0 && age >= w.lifetime {
		w.retire("max_lifetime", fmt.Sprintf("%v old, limit %v", age.Round(time.Millisecond), w.lifetime))
	}
}

// memoryLimit is how much memory the worker may have, or 0 if nobody need look.
func (w *Worker) memoryLimit() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.retired || w.over {
		return 0
	}
	return w.memory
}

// checkMemory looks whether the worker has more.
func (w *Worker) checkMemory() {
	m, err := supervisor.MemoryOf(w.PID())
	if err != nil {
		return // it has ended
	}
	size := m.Resident
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.memory > 0 && size >= w.memory {
		w.retire("max_memory", fmt.Sprintf("%d bytes resident, limit %d", size, w.memory))
	}
}

// retire says, once, that the worker has to go. The lock is held, so that the channel
// is open.
func (w *Worker) retire(reason, detail string) {
	if w.retired || w.over {
		return
	}
	w.retired = true
	w.events <- &workerpb.Event{Event: &workerpb.Event_Retiring{Retiring: &workerpb.Retiring{Reason: reason, Detail: detail}}}
}
