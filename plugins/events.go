package plugins

import (
	"sync"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// maxQueuedLogs bounds the log lines that wait for a manager that does not
// read; further ones are dropped and counted. Other events are few.
const maxQueuedLogs = 4096

// eventQueue holds events on their way to the manager, so that a slot never
// waits for it.
type eventQueue struct {
	mu      sync.Mutex
	events  []*workerpb.Event
	logs    int
	dropped int
	closed  bool
	wake    chan struct{} // has an element when there is something to take
}

func newEventQueue() *eventQueue {
	return &eventQueue{wake: make(chan struct{}, 1)}
}

// put adds an event. It does not block.
func (q *eventQueue) put(e *workerpb.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, isLog := e.GetEvent().(*workerpb.Event_Log)
	switch {
	case q.closed:
		return
	case isLog && q.logs >= maxQueuedLogs:
		q.dropped++
		return
	case isLog:
		q.logs++
	}
	q.events = append(q.events, e)
	q.signal()
}

// close makes further puts do nothing, and take report the end.
func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *eventQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns what is there, and whether the queue has been closed. It does
// not block; wake says when to call it.
func (q *eventQueue) take() (events []*workerpb.Event, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, q.events, q.logs = q.events, nil, 0
	if q.dropped > 0 {
		events = append(events, droppedEvent(q.dropped))
		q.dropped = 0
	}
	return events, q.closed
}
