package jobserver

import (
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// maxReducer is the longest name of a reducer in bytes. gearmand has the limit
// of a unique key for it, and its text for the refusal.
const maxReducer = wire.MaxUnique

// submission is what the packets that submit a job differ in.
type submission struct {
	priority   priority
	background bool
}

// submissionOf tells the priority and kind that a packet type asks for.
func submissionOf(t wire.Type) submission {
	switch t { //nolint:exhaustive // dispatch lets only submissions through
	case wire.SubmitJobHigh:
		return submission{high, false}
	case wire.SubmitJobHighBg:
		return submission{high, true}
	case wire.SubmitJobLow:
		return submission{low, false}
	case wire.SubmitJobLowBg:
		return submission{low, true}
	case wire.SubmitJobBg, wire.SubmitJobEpoch, wire.SubmitReduceJobBg:
		return submission{normal, true}
	default:
		return submission{normal, false}
	}
}

// submit queues the job that r describes, or joins the client to the one that
// has the same unique key.
func (q *queue) submit(p *peer, r wire.Packet, now time.Time) {
	unique, data := r.Arg(1), r.Arg(len(r.Args)-1)
	reducer := reducerOf(r)
	if len(unique) > wire.MaxUnique || len(reducer) > maxReducer {
		q.reject(p, codeTooLarge, "Unique value too large")
		return
	}
	f := q.function(r.Arg(0))
	s := submissionOf(r.Type)
	j := q.find(f, unique, data)
	if j == nil {
		if f.full(s.priority) {
			q.reject(p, codeQueue, "Job queue is full")
			return
		}
		j = &job{fn: f, unique: unique, reducer: reducer, data: data, priority: s.priority, slot: -1}
		q.register(j, startOf(r), now)
	}
	q.join(j, p, s)
	q.send(p, wire.JobCreated, j.handle)
}

// reducerOf returns the reducer of a reduce job; nil for others.
func reducerOf(r wire.Packet) []byte {
	if r.Type == wire.SubmitReduceJob || r.Type == wire.SubmitReduceJobBg {
		return r.Arg(2)
	}
	return nil
}

// join notes who wants j to be run. Somebody who asks for a job that was
// cancelled while it runs wants it after all.
func (q *queue) join(j *job, p *peer, s submission) {
	j.cancelled = false
	if s.background {
		j.background = true
		return
	}
	j.clients = append([]*peer{p}, j.clients...)
	p.watching[j] = struct{}{}
}

// startOf returns the moment before which a job must not run: zero but for
// SUBMIT_JOB_EPOCH.
func startOf(r wire.Packet) time.Time {
	if r.Type != wire.SubmitJobEpoch {
		return time.Time{}
	}
	return time.Unix(leadingInt(r.Arg(2)), 0)
}

// leadingInt reads a decimal number as C's strtoll does: spaces and a sign
// first, then digits, then anything. It stops growing at the largest second
// that time.Time can compare.
func leadingInt(b []byte) int64 {
	const most = 1 << 50
	i := 0
	for i < len(b) && (b[i] == ' ' || (b[i] >= '\t' && b[i] <= '\r')) {
		i++
	}
	negative := i < len(b) && b[i] == '-'
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		i++
	}
	n := int64(0)
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		n = min(n*10+int64(b[i]-'0'), most)
	}
	if negative {
		return -n
	}
	return n
}
