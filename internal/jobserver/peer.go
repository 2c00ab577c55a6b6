package jobserver

import (
	"slices"
	"time"
)

// peer is the queue's view of one connection, which may be a client, a worker,
// an operator, or all of them.
type peer struct {
	out        *outbox
	number     int    // shown by the operator's "workers" in place of a file descriptor
	host       string // address, without port
	id         string // as given by SET_CLIENT_ID
	abilities  []*ability
	sleeping   bool // sent PRE_SLEEP and no GRAB_JOB since
	noopSent   bool // was woken from that sleep
	exceptions bool // receives WORK_EXCEPTION
	watching   map[*job]struct{}
}

// ability is one function that a peer has registered for. Registering twice
// makes two of them.
type ability struct {
	peer    *peer
	fn      *function
	timeout time.Duration // limit for a job; 0 is none
	jobs    []*job        // in hand, in the order in which they were taken
}

// newPeer returns the peer that out leads to.
func newPeer(out *outbox, host string, exceptions bool) *peer {
	return &peer{out: out, host: host, id: "-", exceptions: exceptions, watching: map[*job]struct{}{}}
}

// release takes j out of the jobs in hand.
func (a *ability) release(j *job) {
	if i := slices.Index(a.jobs, j); i >= 0 {
		a.jobs = slices.Delete(a.jobs, i, i+1)
	}
}
