package gearclient

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// errUnasked ends a connection that brought a job out of turn.
var errUnasked = errors.New("assigned a job that was not asked for")

// startConnecting begins to connect l after a delay.
func (s *slot) startConnecting(ctx context.Context, l *link, delay time.Duration) {
	s.numbers++
	*l = link{server: l.server, number: s.numbers, tries: l.tries}
	ctx, l.stop = context.WithCancel(ctx)
	c := connecting{link: l, number: l.number, server: l.server, clientID: s.worker.cfg.ClientID(s.number), delay: delay}
	if s.known.hold != HoldConnected {
		c.functions = s.known.functions
	}
	s.helpers.Go(func() { s.connect(ctx, c) })
}

// connected takes in the end of a try to connect.
func (s *slot) connected(ctx context.Context, e linkEvent) {
	l := e.link
	if e.err != nil {
		s.worker.cfg.Events.Lost(s.number, l.server, e.err)
		l.stop()
		l.tries++
		s.startConnecting(ctx, l, reconnectDelay(l.tries, jitter()))
		return
	}
	l.conn, l.registered, l.tries = e.conn, e.registered, 0
	l.state = linkHeld
	if s.known.hold == HoldNone {
		l.state = linkAwake
	}
	s.worker.cfg.Events.Ready(s.number, l.server)
	s.applyTo(ctx, l)
	if l.state == linkHeld {
		s.listen(l)
	}
}

// lose closes a connection that is broken and begins to connect anew.
func (s *slot) lose(ctx context.Context, l *link, err error) {
	s.closeLink(l)
	if l.last != nil {
		s.worker.cfg.Events.Undelivered(l.last, err)
	}
	s.release(l)
	if ctx.Err() == nil {
		s.worker.cfg.Events.Lost(s.number, l.server, err)
	}
	s.startConnecting(ctx, l, reconnectDelay(l.tries, jitter()))
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
}

// reserve asks whether a GRAB_JOB may be sent on l.
func (s *slot) reserve(l *link) bool {
	if s.worker.cfg.Reserve(s.number) == Leave {
		s.decided = true
		return false
	}
	l.reserved = true
	return true
}

// release gives back the reservation of a GRAB_JOB that brought no job.
func (s *slot) release(l *link) {
	if l.reserved {
		l.reserved = false
		s.worker.cfg.Release(s.number)
	}
}

// sleep tells the server to wake the slot when there is a job, and listens.
func (s *slot) sleep(ctx context.Context, l *link) {
	s.buf = wire.AppendHeader(s.buf[:0], wire.Request, wire.PreSleep, 0)
	if err := l.conn.write(s.buf); err != nil {
		s.lose(ctx, l, err)
		return
	}
	l.state, l.slept = linkAsleep, true
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

// leaveAll leaves every server.
func (s *slot) leaveAll(ctx context.Context) {
	for _, l := range s.links {
		s.leaveLink(ctx, l)
	}
}

// leaveLink leaves a server so that no job is lost or waits for a poll. A
// GRAB_JOB that is out is waited for, since an assigned job counts as an
// attempt. If the slot slept, the server may have spent its wake-up for a job
// on it, which a last GRAB_JOB fetches.
func (s *slot) leaveLink(ctx context.Context, l *link) {
	defer func() { l.number = 0 }() // what still comes from it is late
	if l.state == linkDown {
		l.stop()
		return
	}
	l.conn.hurry(leaveTimeout)
	if s.lastJob(ctx, l) {
		s.linger(ctx, l)
	}
	s.closeLink(l)
}

// lastJob fetches and performs what the server may still have for the slot. It
// reports false if the connection is broken.
func (s *slot) lastJob(ctx context.Context, l *link) bool {
	if l.state == linkParked {
		l.unpark() // whatever comes now is ours
	} else {
		if !l.slept {
			return true
		}
		l.reserved = s.worker.cfg.Reserve(s.number) == Grab
		l.slept = false
		s.buf = wire.AppendHeader(s.buf[:0], wire.Request, wire.GrabJobUniq, 0)
		if l.conn.write(s.buf) != nil {
			s.release(l)
			return false
		}
	}
	p, err := s.answer(ctx, l, leaveTimeout)
	switch {
	case isAssign(p.Type):
		return s.perform(ctx, l, p, err, never)
	case err != nil:
		s.release(l)
		return false
	}
	s.release(l)
	return true
}

// linger closes our side and waits until the server has closed its own. Closed
// at once, a connection with unread bytes is reset, which can cost the server
// an answer that it has not read.
func (s *slot) linger(ctx context.Context, l *link) {
	c, ok := l.conn.net.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		return
	}
	l.conn.hurry(lingerTimeout)
	for {
		_, err := s.next(ctx, l, lingerTimeout)
		switch {
		case err == nil || isTooLarge(err):
			continue
		case l.last != nil && !errors.Is(err, io.EOF):
			s.worker.cfg.Events.Undelivered(l.last, err)
		}
		return
	}
}
