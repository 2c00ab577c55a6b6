package gearclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// errParked says that a server has not answered soon, and that others may.
var errParked = errors.New("no answer in time")

// grab is the request for a job, which goes out behind an answer.
var grab = wire.AppendHeader(nil, wire.Request, wire.GrabJobUniq, 0) //nolint:gochecknoglobals // constant bytes

// never is the decision about the next GRAB_JOB of a slot that leaves.
func never() bool { return false }

// serve asks l for jobs and performs them until it has none, its turn is over,
// or something else is to be done first.
func (s *slot) serve(ctx context.Context, l *link) {
	held := l.leaving || s.hold() != HoldNone
	if held && !l.slept {
		l.state = linkHeld
		s.listen(l)
		return
	}
	if !s.claim(ctx) {
		return
	}
	if held {
		s.reserveLast(l)
	} else if !s.reserve(l) {
		return
	}
	l.slept = false
	if err := l.conn.write(grab); err != nil {
		s.lose(ctx, l, err)
		return
	}
	jobs, began := 0, time.Now()
	again := func() bool {
		jobs++
		return s.again(ctx, l, jobs, began)
	}
	for l.asked {
		p, err := s.answer(ctx, l, s.patience())
		switch {
		case isAssign(p.Type):
			s.perform(ctx, l, p, err, again)
		case errors.Is(err, errParked):
			l.state = linkParked
			l.conn.parked.Store(true)
			s.listen(l)
			return
		case err != nil:
			s.lose(ctx, l, err)
			return
		default: // NO_JOB
			s.release(l)
			s.disown()
			if s.steady(ctx, l) {
				s.sleep(ctx, l)
			}
			return
		}
	}
	s.turn++
}

// claim makes the slot busy before it asks for a job. It fails, having taken
// care of it, if a job has come from a parked link just then.
func (s *slot) claim(ctx context.Context) bool {
	if s.own() {
		return true
	}
	s.handle(ctx, <-s.events) // there is one, or will be in a moment
	return false
}

// own is claim without waiting.
func (s *slot) own() bool {
	s.owns = s.owns || s.claimed.CompareAndSwap(false, true)
	return s.owns
}

// disown lets a listener claim the slot: it has no job and asks for none.
func (s *slot) disown() {
	if s.owns {
		s.owns = false
		s.claimed.Store(false)
	}
}

// steady reports whether nothing else is to be done on l than asking for jobs.
func (s *slot) steady(ctx context.Context, l *link) bool {
	return !l.stale && s.worker.settings.Load() == s.known && !s.gone.Load() && ctx.Err() == nil
}

// again decides, when a job's handler has returned, whether the next GRAB_JOB
// leaves together with the answer.
func (s *slot) again(ctx context.Context, l *link, jobs int, began time.Time) bool {
	if !s.steady(ctx, l) {
		return false
	}
	if len(s.links) > 1 && (jobs >= turnJobs || time.Since(began) > turnTime) && (len(s.events) > 0 || s.others(l)) {
		return false
	}
	return s.reserve(l)
}

// patience is how long to wait for an answer to GRAB_JOB before going on.
func (s *slot) patience() time.Duration {
	if len(s.links) > 1 {
		return parkAfter
	}
	return s.worker.cfg.ServerTimeout
}

// answer waits for the answer to a GRAB_JOB: NO_JOB or a job, which comes with
// a *wire.TooLargeError if it was over the cap. Packets that may come at any
// time are passed over.
func (s *slot) answer(ctx context.Context, l *link, patience time.Duration) (wire.Packet, error) {
	for {
		p, err := s.next(ctx, l, patience)
		if err != nil && !isTooLarge(err) {
			return wire.Packet{}, err
		}
		switch p.Type { //nolint:exhaustive // every other one is wrong here
		case wire.Noop, wire.OptionRes:
		case wire.EchoRes:
			s.echoed(l)
		case wire.Error:
			s.refused(l, p)
		case wire.NoJob, wire.JobAssign, wire.JobAssignUniq, wire.JobAssignAll:
			l.last = nil
			return p, err
		default:
			return wire.Packet{}, &wire.FormatError{Problem: fmt.Sprintf("%v in answer to %v", p.Type, wire.GrabJobUniq)}
		}
	}
}

// refused takes in an ERROR: the server did not accept the last job's answer,
// commonly since it had given the job to somebody else meanwhile.
func (s *slot) refused(l *link, p wire.Packet) {
	s.undelivered(l, &ServerError{Server: l.server, Code: string(p.Arg(0)), Text: string(p.Arg(1))})
}

// next returns the next packet of l, from its listener if one has the reader.
// errParked means that nothing came within patience, and nothing is half read.
func (s *slot) next(ctx context.Context, l *link, patience time.Duration) (wire.Packet, error) {
	if l.listening {
		return s.nextHeard(ctx, l, patience)
	}
	s.reading.Store(l.conn)
	defer s.reading.Store(nil)
	switch {
	case ctx.Err() != nil:
		return wire.Packet{}, context.Cause(ctx)
	case s.gone.Load() && !l.conn.hurried.Load():
		l.conn.hurry() // leave looked for a reader before we were one
	case len(s.links) > 1 && !l.conn.hurried.Load() && !l.conn.readSoon(patience):
		return wire.Packet{}, errParked
	}
	return l.conn.next()
}

// nextHeard is next for a link that is listened to.
func (s *slot) nextHeard(ctx context.Context, l *link, patience time.Duration) (wire.Packet, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e := <-s.events:
			if e.link == l && e.number == l.number {
				l.listening = false
				s.owns = s.owns || e.claimed
				return e.packet, e.err
			}
			s.elsewhere(ctx, e)
		case <-timer.C:
			return wire.Packet{}, errParked
		case <-ctx.Done():
			return wire.Packet{}, context.Cause(ctx)
		}
	}
}

// elsewhere takes in an event of another link. A job among them is performed
// if its listener found the slot free, and sent back otherwise.
func (s *slot) elsewhere(ctx context.Context, e linkEvent) {
	if e.number == e.link.number && isAssign(e.packet.Type) && !e.claimed {
		e.link.listening = false
		s.lose(ctx, e.link, errLateJob)
		return
	}
	s.handle(ctx, e)
}

// perform runs the job of packet p and answers it, together with the next
// GRAB_JOB if again says so. bad is the error that came with the packet, if it
// was too large. It reports false if the connection was lost.
func (s *slot) perform(ctx context.Context, l *link, p wire.Packet, bad error, again func() bool) bool {
	l.asked, l.extra = false, false
	job := s.job(l, p)
	s.sendBackLate(ctx)
	s.performing.Store(true)
	s.worker.tellSettling()
	r := s.handled(ctx, job, bad)
	s.performing.Store(false)
	if r.Outcome == Abandoned {
		job.markOver()
		s.worker.cfg.Events.Done(job, r, nil)
		s.lose(ctx, l, errAbandoned)
		return false
	}
	err := s.send(job, r, again())
	s.worker.cfg.Events.Done(job, r, err)
	if err != nil {
		l.last = job
		s.lose(ctx, l, fmt.Errorf("answer the job: %w", err))
		return false
	}
	l.last = job
	return true
}

// errAbandoned ends a connection whose job goes back to the queue.
var errAbandoned = errors.New("gave the job back to the job server")

// sendBackLate ends parked links that were given a job just as the slot was
// given one elsewhere: a slot performs one job at a time.
func (s *slot) sendBackLate(ctx context.Context) {
	for len(s.events) > 0 {
		s.elsewhere(ctx, <-s.events)
	}
}

// handled runs the handler, or answers in its place.
func (s *slot) handled(ctx context.Context, job *Job, bad error) Result {
	if bad, ok := errors.AsType[*wire.TooLargeError](bad); ok {
		return Result{Raised, fmt.Appendf(nil, "workload of %d bytes is over the worker's limit of %d", bad.Size, bad.Limit)}
	}
	if !s.busy {
		s.busy = true
		s.worker.cfg.Events.Busy(s.number)
	}
	limit := s.worker.settings.Load().maxData
	r := s.worker.cfg.Handler(ctx, job)
	if int64(len(r.Data)) > limit {
		return Result{Raised, fmt.Appendf(nil, "result of %d bytes is over the worker's limit of %d", len(r.Data), limit)}
	}
	return r
}

// job makes a Job of an assignment. The bytes of the packet are its own.
func (s *slot) job(l *link, p wire.Packet) *Job {
	job := &Job{conn: l.conn, slot: s.number, handle: string(p.Arg(0)), function: s.name(p.Arg(1))}
	args := p.Type.Args()
	if p.Type != wire.JobAssign {
		job.unique = string(p.Arg(2))
	}
	job.workload = p.Arg(len(args) - 1)
	return job
}

// name returns a function's name without copying it for each job.
func (s *slot) name(b []byte) string {
	if name, ok := s.names[string(b)]; ok {
		return name
	}
	name := string(b)
	s.names[name] = name
	return name
}

// send writes the answer, and if again is set the next GRAB_JOB behind it, in
// one write.
func (s *slot) send(job *Job, r Result, again bool) error {
	c := job.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	var next []byte
	if again {
		next = grab
	}
	job.over = true
	s.buf = job.appendAnswer(s.buf[:0], r)
	if r.Outcome == Failed {
		r.Data = nil
	}
	if len(r.Data) > joinBelow {
		return c.writeVector(net.Buffers{s.buf, r.Data, next})
	}
	s.buf = append(append(s.buf, r.Data...), next...)
	return c.writeLocked(s.buf, nil)
}

// isTooLarge tells the one error of reading after which a connection goes on.
func isTooLarge(err error) bool {
	_, ok := errors.AsType[*wire.TooLargeError](err)
	return ok
}
