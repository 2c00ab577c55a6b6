package jobserver

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// queue is the state of a job server: functions, jobs, peers and what connects
// them. It knows no sockets and no goroutines; answers go to the outboxes of
// the peers, and time comes from its callers. Not safe for concurrent use: the
// [Server] locks around it.
type queue struct {
	conf      Config
	functions map[string]*function
	order     []*function // as they were created
	jobs      map[string]*job
	peers     []*peer // as they connected
	deadlines deadlines

	handles uint32 // handles given out
	seq     uint64 // queueings so far
	numbers int    // peers so far
	seed    maphash.Seed

	touched []*outbox // to be flushed by the caller
	events  []Event   // to be told by the caller
}

// newQueue returns an empty queue for a completed configuration.
func newQueue(conf Config) *queue {
	return &queue{
		conf:      conf,
		functions: map[string]*function{},
		jobs:      map[string]*job{},
		seed:      maphash.MakeSeed(),
	}
}

// connect admits a peer.
func (q *queue) connect(p *peer) {
	q.numbers++
	p.number = q.numbers
	q.peers = append(q.peers, p)
}

// disconnect forgets a peer: the jobs it holds are queued again, those it alone
// waits for are dropped.
func (q *queue) disconnect(p *peer) {
	q.resetAbilities(p)
	for j := range p.watching {
		j.clients = slices.DeleteFunc(j.clients, func(c *peer) bool { return c == p })
		q.dropIfAbandoned(j)
	}
	p.watching = nil
	if i := slices.Index(q.peers, p); i >= 0 {
		q.peers = slices.Delete(q.peers, i, i+1)
	}
}

// function returns the function of that name, which comes to exist by being
// mentioned.
func (q *queue) function(name []byte) *function {
	if f := q.functions[string(name)]; f != nil {
		return f
	}
	f := newFunction(string(name))
	q.functions[f.name] = f
	q.order = append(q.order, f)
	return f
}

// drop removes a function that has neither jobs nor workers.
func (q *queue) drop(f *function) {
	delete(q.functions, f.name)
	if i := slices.Index(q.order, f); i >= 0 {
		q.order = slices.Delete(q.order, i, i+1)
	}
}

// send adds a response to p's outbox.
func (q *queue) send(p *peer, t wire.Type, args ...[]byte) {
	if p.out.packet(t, args...) {
		q.touched = append(q.touched, p.out)
	}
}

// tell notes an event.
func (q *queue) tell(e Event) {
	if q.conf.Events != nil {
		q.events = append(q.events, e)
	}
}

// newHandle returns the next job handle. The counter is an unsigned 32-bit
// number, as in gearmand; after its end it skips handles still in use.
func (q *queue) newHandle() []byte {
	for {
		q.handles++
		h := make([]byte, 0, len(q.conf.HandlePrefix)+11)
		h = append(h, q.conf.HandlePrefix...)
		h = append(h, ':')
		h = strconv.AppendUint(h, uint64(q.handles), 10)
		if q.jobs[string(h)] == nil {
			return h
		}
	}
}

// register makes j known and queues or schedules it.
func (q *queue) register(j *job, at, now time.Time) {
	j.handle = q.newHandle()
	q.jobs[string(j.handle)] = j
	q.index(j)
	j.fn.total++
	j.fn.queued[j.priority]++
	q.seq++
	j.seq = q.seq
	q.wake(j.fn)
	if at.After(now) {
		q.deadlines.set(j, at)
		return
	}
	j.fn.waiting[j.priority].insert(j)
}

// index makes j findable by its unique key, if it has one.
func (q *queue) index(j *job) {
	switch {
	case len(j.unique) == 0:
	case !byWorkload(j.unique):
		j.fn.uniques[string(j.unique)] = j
	case len(j.data) > 0:
		j.sum = maphash.Bytes(q.seed, j.data)
		j.fn.byData[j.sum] = j
	}
}

// byWorkload reports whether a unique key says that the workload is the key.
func byWorkload(unique []byte) bool { return len(unique) == 1 && unique[0] == '-' }

// find returns the job of f that a submission coalesces with; nil if none.
func (q *queue) find(f *function, unique, data []byte) *job {
	switch {
	case len(unique) == 0:
		return nil
	case !byWorkload(unique):
		return f.uniques[string(unique)]
	case len(data) == 0:
		return nil
	}
	j := f.byData[maphash.Bytes(q.seed, data)]
	if j == nil || !bytes.Equal(j.data, data) {
		return nil
	}
	return j
}

// forget removes every trace of j, wherever it is.
func (q *queue) forget(j *job) {
	if j.worker != nil {
		j.worker.release(j)
		j.worker = nil
		j.fn.running--
	} else {
		j.fn.queued[j.priority]--
	}
	if j.listed {
		j.fn.waiting[j.priority].remove(j)
	}
	q.deadlines.clear(j)
	j.fn.total--
	delete(q.jobs, string(j.handle))
	if j.fn.uniques[string(j.unique)] == j {
		delete(j.fn.uniques, string(j.unique))
	}
	if j.fn.byData[j.sum] == j {
		delete(j.fn.byData, j.sum)
	}
	j.release()
}

// dropIfAbandoned forgets a job that nobody waits for, unless it runs.
func (q *queue) dropIfAbandoned(j *job) {
	if j.worker == nil && j.abandoned() {
		q.forget(j)
	}
}

// failClients tells the clients of j that it failed; they wait no longer.
func (q *queue) failClients(j *job) {
	for _, c := range j.clients {
		q.send(c, wire.WorkFail, j.handle)
	}
	j.release()
}

// fail tells the clients of j that it failed, and forgets it.
func (q *queue) fail(j *job) {
	q.failClients(j)
	q.forget(j)
}

// wake sends NOOP to sleeping workers of f: to all, or to as many as configured
// beginning with the one whose turn it is. Each is woken once a sleep.
func (q *queue) wake(f *function) {
	woken := 0
	for i := range f.workers {
		at := (f.turn + i) % len(f.workers)
		p := f.workers[at].peer
		if !p.sleeping || p.noopSent {
			continue
		}
		q.send(p, wire.Noop)
		p.noopSent = true
		if woken++; woken == q.conf.WorkerWakeup {
			f.turn = (at + 1) % len(f.workers)
			return
		}
	}
}

// requeue takes j from the worker that leaves it and puts it at the end of its
// queue, or gives it up after the last attempt.
func (q *queue) requeue(j *job) {
	j.worker.release(j)
	j.worker = nil
	j.fn.running--
	j.fn.queued[j.priority]++
	j.attempts++
	j.num, j.den = 0, 0
	q.deadlines.clear(j)
	if j.abandoned() {
		q.fail(j)
		return
	}
	if j.attempts == q.conf.JobRetries {
		q.tell(JobDropped{string(j.handle), j.fn.name, j.attempts})
		q.fail(j)
		return
	}
	q.tell(JobRequeued{string(j.handle), j.fn.name, j.attempts})
	q.seq++
	j.seq = q.seq
	q.wake(j.fn)
	j.fn.waiting[j.priority].insert(j)
}

// expire handles every deadline up to now.
func (q *queue) expire(now time.Time) {
	for len(q.deadlines) > 0 && !q.deadlines[0].when.After(now) {
		j := q.deadlines[0]
		q.deadlines.clear(j)
		if j.worker != nil {
			q.requeue(j)
			continue
		}
		j.fn.waiting[j.priority].insert(j)
		q.wake(j.fn)
	}
}
