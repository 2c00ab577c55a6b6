package gearclient

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// Handle names a job: servers number their jobs each on its own, and from one
// again after a restart, so the name means nothing without the server.
type Handle struct {
	Server string // host:port; may be empty where a server is not known
	Name   string // what the server calls the job, as "H:host:1"
}

// String gives the handle as "H:host:1 on host:port".
func (h Handle) String() string {
	if h.Server == "" {
		return h.Name
	}
	return h.Name + " on " + h.Server
}

// Task is a foreground job that a server has accepted. Its methods are safe for
// concurrent use.
type Task struct {
	handle   Handle      // written before Submit returns
	conn     *clientConn // as handle
	discard  bool
	finished chan struct{} // closed when result and err are set
	more     chan struct{} // 1-buffered: updates were added

	mu      sync.Mutex
	updates []Update
	over    bool
	result  []byte
	err     error
}

func newTask(r Request) *Task {
	return &Task{discard: r.DiscardUpdates, finished: make(chan struct{}), more: make(chan struct{}, 1)}
}

// Handle is the job's name on the server that has it.
func (t *Task) Handle() Handle { return t.handle }

// Done is closed when the job has ended or the task was abandoned.
func (t *Task) Done() <-chan struct{} { return t.finished }

// Wait blocks until the job has ended or ctx ends, and returns the data of its
// WORK_COMPLETE; every caller gets the same slice. It does not take updates.
//
// Errors: [*ExceptionError] and [*FailError] if the job did not succeed,
// [*LostError] if the connection broke first, a [*wire.TooLargeError] if the
// result was over the cap, [ErrAbandoned], or ctx's error, after which Wait may
// be called again.
func (t *Task) Wait(ctx context.Context) ([]byte, error) {
	select {
	case <-t.finished:
		return t.outcome()
	default:
	}
	select {
	case <-t.finished:
		return t.outcome()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for job %v: %w", t.handle, context.Cause(ctx))
	}
}

func (t *Task) outcome() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result, t.err
}

// Updates gives the job's data, warnings and status reports in the order in
// which they came, and waits for more until the job has ended or ctx ends. An
// update is given once; those that nobody takes are kept, which costs memory
// (see Request.DiscardUpdates). One goroutine at a time should take them.
func (t *Task) Updates(ctx context.Context) iter.Seq[Update] {
	return func(yield func(Update) bool) {
		for {
			batch, over := t.take()
			for i, u := range batch {
				if !yield(u) {
					t.putBack(batch[i+1:])
					return
				}
			}
			if over {
				return
			}
			select {
			case <-t.more:
			case <-t.finished:
			case <-ctx.Done():
				return
			}
		}
	}
}

// take empties the queue of updates. over tells that none will follow.
func (t *Task) take() (batch []Update, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch, t.updates = t.updates, nil
	return batch, t.over
}

func (t *Task) putBack(batch []Update) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.updates = append(batch, t.updates...)
}

// Abandon makes the client forget the job: nothing of it is kept or reported
// any more, and Wait returns [ErrAbandoned]. The server is not told, since the
// protocol has no words for it, so the job may still run. It does nothing to a
// task that has ended.
func (t *Task) Abandon() {
	t.finish(nil, ErrAbandoned)
	t.mu.Lock()
	conn := t.conn
	t.mu.Unlock()
	if conn != nil {
		conn.forget(t)
	}
}

// created takes the handle. It returns false if the task was abandoned while
// the server made the job.
func (t *Task) created(h Handle, c *clientConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handle, t.conn = h, c
	return !t.over
}

// update queues one update.
func (t *Task) update(u Update) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.discard || t.over {
		return
	}
	t.updates = append(t.updates, u)
	select {
	case t.more <- struct{}{}:
	default: // the one that takes them has been told
	}
}

// finish sets the outcome, of which the first counts.
func (t *Task) finish(result []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.over, t.result, t.err = true, result, err
	close(t.finished)
}
