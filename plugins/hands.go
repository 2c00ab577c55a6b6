package plugins

import (
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// hand is a slot's job: in hand, or the last one.
type hand struct {
	server, handle string
	hash           uint64
	busy           bool // not answered yet
	index          int  // of its record; -1: it has none
	record         *jobrecord.Record
	limit          time.Duration // after which it counts as slow; 0: never
	took           time.Duration // of the handler; only known if there is such a limit, or jobs are logged
}

// is reports whether the hand is about this job.
func (h *hand) is(job *gearclient.Job) bool {
	return h != nil && h.handle == job.Handle() && h.server == job.Server()
}

// hands are those of all slots. The records that slots have change while jobs are in
// hand, so that it remembers which record shows which job, and sees to it that none
// ever shows two: the slot that a record has been given to waits for the end of the job
// that it shows.
type hands struct {
	mu      sync.Mutex
	emptied *sync.Cond    // of mu: a job has ended
	slots   map[int]*hand // each is written by its slot, under mu if by take or release
	users   map[int]int   // slots by the record that shows their job in hand
	refused bool          // a slot was told that its record is in use
}

func newHands() *hands {
	h := &hands{slots: map[int]*hand{}, users: map[int]int{}}
	h.emptied = sync.NewCond(&h.mu)
	return h
}

// take notes a job that a slot has been given, and the record that is to show it, once
// that shows no other any more. A negative index stands for no record.
func (h *hands) take(job *gearclient.Job, hash uint64, index int, record *jobrecord.Record) *hand {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.inUse(index, job.Slot()) {
		h.emptied.Wait()
	}
	own := h.slots[job.Slot()]
	if own == nil {
		own = &hand{}
		h.slots[job.Slot()] = own
	}
	if index >= 0 {
		h.users[index] = job.Slot()
	}
	*own = hand{server: job.Server(), handle: job.Handle(), hash: hash, busy: true, index: index, record: record}
	return own
}

// inUse reports whether another slot's job in hand is shown by a record. The caller
// holds mu.
func (h *hands) inUse(index, slot int) bool {
	user, used := h.users[index]
	return used && user != slot
}

// refuses reports whether a slot has to wait, before it asks for a job, for another one
// whose job its record shows. That one's release then says so.
func (h *hands) refuses(slot, index int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.inUse(index, slot) {
		return false
	}
	h.refused = true
	return true
}

// release ends what take began. It reports whether a slot was refused meanwhile.
func (h *hands) release(slot int) (refused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.slots[slot]
	own.busy = false
	delete(h.users, own.index)
	refused, h.refused = h.refused, false
	h.emptied.Broadcast()
	return refused
}

// of returns the hand of a job if that is, or was, its slot's last one; nil otherwise.
// It is for the slot's own goroutine.
func (h *hands) of(job *gearclient.Job) *hand {
	h.mu.Lock()
	defer h.mu.Unlock()
	if own := h.slots[job.Slot()]; own.is(job) {
		return own
	}
	return nil
}

// shows reports whether a record shows a job in hand of this worker.
func (h *hands) shows(index int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inUse(index, -1)
}

// recordIndex is the number of a slot's record, or -1 if none is kept.
func (p *performer) recordIndex(slot int) int {
	s := p.assigned.Load().slot(slot)
	if p.records == nil || s == nil || int(s.GetRecord()) >= p.records.Len() {
		return -1
	}
	return int(s.GetRecord())
}

// take puts a job into its slot's hand.
func (p *performer) take(job *gearclient.Job, hash uint64) *hand {
	index := p.recordIndex(job.Slot())
	var record *jobrecord.Record
	if index >= 0 {
		record, _ = p.records.Record(index) // it is in the file
	}
	return p.hands.take(job, hash, index, record)
}

// release takes it out again. Slots that waited for the record ask anew.
func (p *performer) release(job *gearclient.Job) {
	if p.hands.release(job.Slot()) {
		p.resume()
	}
}

// tellSlow tells of a job that was slow, once it has been answered.
func (p *performer) tellSlow(job *gearclient.Job, h *hand, failed bool) {
	if h.limit == 0 || h.took <= h.limit {
		return
	}
	p.events.put(&workerpb.Event{Event: &workerpb.Event_SlowJob{SlowJob: &workerpb.SlowJob{
		Slot: number(job.Slot()), Job: p.jobID(job, h.hash), Function: text(job.Function()), Failed: failed,
		TookMs: uint64(h.took.Milliseconds()), WorkloadBytes: uint64(len(job.Workload())), //nolint:gosec // not negative
	}}})
}
