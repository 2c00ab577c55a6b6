package jobserver

import "time"

// priority ranks the jobs of one function.
type priority int

// The priorities, in the order in which they are served.
const (
	high priority = iota
	normal
	low
	priorities
)

// job is one job from its submission until its last answer. It is in exactly
// one place: scheduled (due lies ahead), queued (in the list of its function),
// or running (held by an ability).
type job struct {
	handle     []byte
	fn         *function
	unique     []byte
	reducer    []byte // nil for an ordinary job
	data       []byte
	priority   priority
	background bool // runs even if no client waits for it
	cancelled  bool // was cancelled while it ran: finishes, but is not run again

	clients  []*peer // foreground submitters, the latest first, once for each submission
	worker   *ability
	attempts int    // workers that left it
	num, den uint32 // progress as last reported
	sum      uint64 // hash of data, if unique is "-"

	seq        uint64 // order of queueing, over all functions
	prev, next *job   // in the function's list
	listed     bool

	when time.Time // moment of the deadline, if deadline ≥ 0
	slot int       // index in the heap of deadlines; −1 if none
}

// abandoned reports whether nobody is interested in the job any more.
func (j *job) abandoned() bool {
	return j.cancelled || (!j.background && len(j.clients) == 0)
}

// release ends the waiting of all clients.
func (j *job) release() {
	for _, c := range j.clients {
		delete(c.watching, j)
	}
	j.clients = nil
}

// list is a queue of jobs in the order of their sequence numbers.
type list struct{ head, tail *job }

// insert adds j behind all jobs that were queued before it. That is the end of
// the list but for a scheduled job, which keeps the place it got at submission.
func (l *list) insert(j *job) {
	after := l.tail
	for after != nil && after.seq > j.seq {
		after = after.prev
	}
	j.prev, j.listed = after, true
	if after == nil {
		j.next, l.head = l.head, j
	} else {
		j.next, after.next = after.next, j
	}
	if j.next == nil {
		l.tail = j
	} else {
		j.next.prev = j
	}
}

// remove takes j out of the list.
func (l *list) remove(j *job) {
	if j.prev == nil {
		l.head = j.next
	} else {
		j.prev.next = j.next
	}
	if j.next == nil {
		l.tail = j.prev
	} else {
		j.next.prev = j.prev
	}
	j.prev, j.next, j.listed = nil, nil, false
}
