package gearclient

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// errUnasked ends a connection that brought a job out of turn.
var errUnasked = errors.New("assigned a job that was not asked for")

// startConnecting begins to connect l after a delay.
func (s *slot) startConnecting(ctx context.Context, l *link, delay time.Duration) {
	s.numbers++
	*l = link{server: l.server, since: l.since, number: s.numbers, tries: l.tries, problem: l.problem}
	ctx, l.stop = context.WithCancel(ctx)
	c := connecting{link: l, number: l.number, server: l.server, clientID: s.worker.cfg.ClientID(s.number), delay: delay}
	if now := s.worker.settings.Load(); now.holdOf(s.number) != HoldConnected { // s.known may be older: it is what all links have
		c.declares, c.functions = true, now.functions
	}
	s.helpers.Go(func() { s.connect(ctx, c) })
}

// connected takes in the end of a try to connect.
func (s *slot) connected(ctx context.Context, e linkEvent) {
	l := e.link
	if e.err != nil {
		s.lost(ctx, l, e.err)
		l.stop()
		l.tries++
		s.startConnecting(ctx, l, reconnectDelay(l.tries, jitter()))
		return
	}
	l.conn, l.declared, l.registered, l.tries, l.problem = e.conn, e.declared, e.registered, 0, ""
	l.state = linkHeld
	if s.hold() == HoldNone {
		l.state = linkAwake
	}
	s.worker.cfg.Events.Ready(s.number, l.server, l.declared)
	s.applyTo(ctx, l)
	if l.state == linkHeld {
		s.listen(l)
	}
}

// echoed takes in the answer to the echo after a connection's registration.
func (s *slot) echoed(l *link) {
	if l.conn.echoing.CompareAndSwap(true, false) {
		s.worker.cfg.Events.Ready(s.number, l.server, true)
	}
}

// wantedAgain tells anew of a link to a server that was no longer wanted for a while in
// which the slot did not come by: whoever said so expects no less.
func (s *slot) wantedAgain(l *link) {
	if l.state == linkDown {
		l.problem = "" // so that the next failure is told
		return
	}
	s.worker.cfg.Events.Ready(s.number, l.server, l.declared && !l.conn.echoing.Load())
}

// lose closes a connection that is broken and begins to connect anew.
func (s *slot) lose(ctx context.Context, l *link, err error) {
	if l.leaving {
		if l.state != linkParting || !errors.Is(err, io.EOF) {
			s.undelivered(l, err)
		}
		s.closeLeft(l)
		return
	}
	s.closeLink(l)
	s.undelivered(l, err)
	s.release(l)
	s.lost(ctx, l, err)
	s.startConnecting(ctx, l, reconnectDelay(l.tries, jitter()))
}

// undelivered tells that the last job's answer may not have reached its server.
func (s *slot) undelivered(l *link, err error) {
	if l.last != nil {
		s.worker.cfg.Events.Undelivered(l.last, err)
		l.last = nil
	}
}

// lost tells that the slot has no connection to a server, once for each reason.
func (s *slot) lost(ctx context.Context, l *link, err error) {
	problem := err.Error()
	if op, ok := errors.AsType[*net.OpError](err); ok {
		problem = op.Err.Error() // without our port, which changes with every try
	}
	if problem != l.problem && ctx.Err() == nil {
		l.problem = problem
		s.worker.cfg.Events.Lost(s.number, l.server, err)
	}
}

// closeLink ends l's connection or the try at one, and with it its goroutine.
func (s *slot) closeLink(l *link) {
	l.stop()
	if l.conn != nil {
		l.conn.close()
	}
}

// closeAll ends every connection and waits for the goroutines of the slot.
func (s *slot) closeAll() {
	close(s.done)
	for _, l := range s.links {
		s.closeLink(l)
	}
	s.helpers.Wait()
	for len(s.events) > 0 { // a connection that was made too late
		if e := <-s.events; e.conn != nil {
			e.conn.close()
		}
	}
	for _, l := range s.links {
		s.release(l)
	}
	s.giveBack(0)
}

// reserve asks whether a GRAB_JOB may be sent on l.
func (s *slot) reserve(l *link) bool {
	if s.spare == 0 {
		round := s.worker.round.Load()
		switch s.worker.cfg.Reserve(s.number) {
		case Leave:
			s.decided = true
			return false
		case Rest:
			s.declined, s.round = true, round
			return false
		case Grab:
		}
		s.spare++
	}
	s.spare--
	l.asked = true
	return true
}

// reserveLast notes a GRAB_JOB on a link that slept, without leave to send it: a
// job that the server has woken the slot for would lie until somebody polls.
func (s *slot) reserveLast(l *link) {
	if s.spare == 0 && s.worker.cfg.Reserve(s.number) == Grab {
		s.spare++
	}
	l.asked, l.extra = true, s.spare == 0
	s.spare = max(s.spare-1, 0)
}

// release takes back the reservation of a GRAB_JOB that brought no job. The
// slot keeps one for the next, which ends a rest for want of one.
func (s *slot) release(l *link) {
	if l.asked && !l.extra {
		s.declined = false
		s.spare++
		s.giveBack(1)
	}
	l.asked, l.extra = false, false
}

// giveBack gives back all reservations but those to keep.
func (s *slot) giveBack(keep int) {
	if s.spare <= keep {
		return
	}
	for ; s.spare > keep; s.spare-- {
		s.worker.cfg.Release(s.number)
	}
	s.worker.released()
}

// sleep tells the server to wake the slot when there is a job, and listens.
func (s *slot) sleep(ctx context.Context, l *link) {
	s.buf = wire.AppendHeader(s.buf[:0], wire.Request, wire.PreSleep, 0)
	if err := l.conn.write(s.buf); err != nil {
		s.lose(ctx, l, err)
		return
	}
	l.state, l.slept = linkAsleep, true
	if len(s.links) == 1 && !l.listening && l.conn.soon() { // the next job is often there at once
		e := linkEvent{link: l, number: l.number}
		e.packet, e.err = s.next(ctx, l, s.patience())
		s.handle(ctx, e)
		return
	}
	s.listen(l)
}

// listen starts a goroutine that listens on l, unless one does.
func (s *slot) listen(l *link) {
	if !l.listening {
		l.listening = true
		number, conn := l.number, l.conn
		s.helpers.Go(func() { s.listenTo(l, number, conn) }) // ends with one event, or with the connection
	}
}

// leaveAll leaves every server: first those that owe an answer, which the slot
// can only wait for while it has no job in hand.
func (s *slot) leaveAll(ctx context.Context) {
	links := slices.Clone(s.links)
	slices.SortStableFunc(links, func(a, b *link) int { return cmp.Compare(b.state, a.state) })
	for _, l := range links {
		s.leaveLink(ctx, l)
	}
}

// part goes on with leaving a server that is no longer wanted, one step each time that
// the slot comes by, since it has work for others: it does what leaveLink does.
func (s *slot) part(l *link) {
	l.stale = true
	switch {
	case l.state == linkDown:
		s.closeLeft(l)
	case l.state == linkParting: // waits for the server
	case l.state == linkParked: // the same, but not for as long as for others
		if !l.conn.hurried.Load() {
			l.conn.hurry()
		}
	case l.slept:
		l.state = linkAwake // asks a last time
	case s.closeOurs(l):
		l.state = linkParting
		s.listen(l)
	default:
		s.closeLeft(l)
	}
}

// closeLeft ends what is left of a link to a server that is no longer wanted.
func (s *slot) closeLeft(l *link) {
	s.closeLink(l)
	s.release(l)
	l.number, l.state, l.conn, l.over = 0, linkDown, nil, true // what still comes from it is late
}

// closeOurs tells the server that nothing more will come, and reports whether it is
// worth waiting for its answer to that. Closed at once, a connection with unread bytes
// is reset, which can cost the server an answer that it has not read.
func (s *slot) closeOurs(l *link) bool {
	l.conn.hurry()
	c, ok := l.conn.net.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

// leaveLink leaves a server so that no job is lost or waits for a poll. A
// GRAB_JOB that is out is waited for, since an assigned job counts as an
// attempt. If the slot slept, the server may have spent its wake-up for a job
// on it, which a last GRAB_JOB fetches.
func (s *slot) leaveLink(ctx context.Context, l *link) {
	if l.state != linkDown {
		l.conn.hurry()
		if s.lastJob(ctx, l) {
			s.linger(ctx, l)
		}
	}
	s.release(l)
	s.closeLink(l)
	l.number, l.state, l.conn = 0, linkDown, nil // what still comes from it is late
}

// lastJob fetches and performs what the server may still have for the slot. It
// reports false if the connection is broken.
func (s *slot) lastJob(ctx context.Context, l *link) bool {
	if l.slept && !s.lastGrab(ctx, l) {
		return false
	}
	if !l.asked {
		return true
	}
	p, err := s.answer(ctx, l, leaveTimeout)
	if isAssign(p.Type) {
		return s.perform(ctx, l, p, err, never)
	}
	if err != nil {
		s.undelivered(l, err)
	}
	s.release(l)
	return err == nil
}

// lastGrab asks for a job on a link that slept.
func (s *slot) lastGrab(ctx context.Context, l *link) bool {
	for !s.own() {
		s.handle(ctx, <-s.events)
	}
	if l.state == linkDown { // lost just now
		return false
	}
	s.reserveLast(l)
	l.slept = false
	return l.conn.write(grab) == nil
}

// linger closes our side and waits until the server has closed its own.
func (s *slot) linger(ctx context.Context, l *link) {
	if !s.closeOurs(l) {
		return
	}
	for {
		p, err := s.next(ctx, l, leaveTimeout)
		switch {
		case p.Type == wire.Error:
			s.refused(l, p)
			continue
		case err == nil || isTooLarge(err):
			continue
		case !errors.Is(err, io.EOF):
			s.undelivered(l, err)
		}
		return
	}
}
