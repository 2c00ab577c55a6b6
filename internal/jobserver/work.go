package jobserver

import (
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// minTimeout is the shortest time limit for a job that CAN_DO_TIMEOUT can set;
// shorter ones are raised to it, as gearmand 1.1.20 does.
const minTimeout = time.Second

// parseTimeout reads the milliseconds of CAN_DO_TIMEOUT. What is not positive
// is no limit.
func parseTimeout(b []byte) time.Duration {
	ms := leadingInt(b)
	if ms <= 0 {
		return 0
	}
	const most = int64(365 * 24 * time.Hour / time.Millisecond)
	return max(time.Duration(min(ms, most))*time.Millisecond, minTimeout)
}

// canDo registers p for a function; the one registered last is served first.
func (q *queue) canDo(p *peer, name []byte, timeout time.Duration) {
	a := &ability{peer: p, fn: q.function(name), timeout: timeout}
	p.abilities = slices.Insert(p.abilities, 0, a)
	a.fn.addWorker(a)
}

// cantDo undoes every registration of p for a function. Jobs of it that p holds
// are queued again.
func (q *queue) cantDo(p *peer, name []byte) {
	f := q.functions[string(name)]
	if f == nil {
		return
	}
	p.abilities = slices.DeleteFunc(p.abilities, func(a *ability) bool {
		if a.fn == f {
			q.retire(a)
		}
		return a.fn == f
	})
}

// resetAbilities undoes all registrations of p.
func (q *queue) resetAbilities(p *peer) {
	all := p.abilities
	p.abilities = nil
	for _, a := range all {
		q.retire(a)
	}
}

// retire ends an ability: its function forgets it, its jobs are queued again,
// the latest first. The order matters: its own connection is not woken.
func (q *queue) retire(a *ability) {
	a.fn.removeWorker(a)
	for len(a.jobs) > 0 {
		q.requeue(a.jobs[len(a.jobs)-1])
	}
}

// preSleep lets p wait for work, unless there is some.
func (q *queue) preSleep(p *peer) {
	for _, a := range p.abilities {
		if a.fn.first() != nil {
			q.send(p, wire.Noop)
			return
		}
	}
	p.sleeping = true
}

// grab assigns a job to p, if there is one for it.
func (q *queue) grab(p *peer, t wire.Type, now time.Time) {
	p.sleeping, p.noopSent = false, false
	a, j := q.choose(p)
	if j == nil {
		q.send(p, wire.NoJob)
		return
	}
	j.fn.waiting[j.priority].remove(j)
	j.fn.queued[j.priority]--
	j.fn.running++
	j.worker = a
	a.jobs = append(a.jobs, j)
	if a.timeout > 0 {
		q.deadlines.set(j, now.Add(a.timeout))
	}
	name := []byte(j.fn.name)
	switch {
	case t == wire.GrabJob:
		q.send(p, wire.JobAssign, j.handle, name, j.data)
	case t == wire.GrabJobAll && len(j.reducer) > 0:
		q.send(p, wire.JobAssignAll, j.handle, name, j.unique, j.reducer, j.data)
	default:
		q.send(p, wire.JobAssignUniq, j.handle, name, j.unique, j.data)
	}
}

// choose picks the first of p's functions that has a runnable job. With round
// robin that function goes to the end of p's list.
func (q *queue) choose(p *peer) (*ability, *job) {
	for i, a := range p.abilities {
		j := a.fn.first()
		if j == nil {
			continue
		}
		if q.conf.RoundRobin {
			p.abilities = append(slices.Delete(p.abilities, i, i+1), a)
		}
		return a, j
	}
	return nil, nil
}

// held returns the job of that handle if p is the one who runs it.
func (q *queue) held(p *peer, handle []byte) *job {
	j := q.jobs[string(untilNUL(handle))]
	if j == nil || j.worker == nil || j.worker.peer != p {
		return nil
	}
	return j
}

// work passes a worker's report on to the clients of the job. COMPLETE, FAIL
// and EXCEPTION end it.
func (q *queue) work(p *peer, r wire.Packet) {
	if r.Type == wire.WorkFail && len(r.Arg(0)) >= wire.MaxHandle {
		q.reject(p, codeTooLarge, "Job handle too large")
		return
	}
	j := q.held(p, r.Arg(0))
	if j == nil {
		q.reject(p, codeJobNotFound, notFoundText(r.Type))
		return
	}
	if r.Type == wire.WorkStatus {
		j.num, j.den = leadingCount(r.Arg(1)), leadingCount(r.Arg(2))
	}
	for _, c := range j.clients {
		if r.Type == wire.WorkException && !c.exceptions {
			q.send(c, wire.WorkFail, j.handle)
			continue
		}
		q.send(c, r.Type, r.Args...)
	}
	if r.Type == wire.WorkComplete || r.Type == wire.WorkFail || r.Type == wire.WorkException {
		q.forget(j)
	}
}

// notFoundText is gearmand's wording, which depends on the packet.
func notFoundText(t wire.Type) string {
	switch t { //nolint:exhaustive // of the reports, the others share a text
	case wire.WorkData, wire.WorkWarning:
		return "Job does not exist on server"
	case wire.WorkException:
		return "An exception was received for a job that does not exist"
	default:
		return "Job given in work result not found"
	}
}

// leadingCount reads a progress number as an unsigned 32-bit one.
func leadingCount(b []byte) uint32 { return uint32(leadingInt(b)) } //nolint:gosec // wraps as in gearmand
