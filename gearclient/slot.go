package gearclient

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// slot performs one job at a time. Its goroutine owns every field that is not
// marked otherwise; goroutines that connect or listen send it events.
//
// While a link is awake, the slot itself reads it, so that a job under load
// costs no change of goroutine. While a link sleeps, is held or parked, a
// goroutine listens on it.
type slot struct {
	worker *Worker
	number int
	links  []*link
	known  *settings // those that have been applied

	events chan linkEvent
	pokes  chan struct{} // has an element after a change of settings or a call to leave
	done   chan struct{} // closed at the end, for goroutines that want to post
	// gone is set from outside when the slot is to leave.
	gone atomic.Bool
	// claimed is true while a job is in hand or asked for: owns is true too, or
	// a listener that was given a job has taken it for the slot and its event
	// is on its way. A listener that cannot sends the job back.
	claimed atomic.Bool
	// performing: a job is in hand, after whose end the slot looks at the settings
	// before it asks for another.
	performing atomic.Bool
	heeded     atomic.Pointer[settings] // the last ones that held on every link
	// reading is the connection that the slot waits for in a read, for poke.
	reading atomic.Pointer[workerConn]

	helpers  sync.WaitGroup // goroutines that connect and listen
	owns     bool           // claimed is ours
	spare    int            // reservations that wait for the next GRAB_JOB
	turn     int            // index of the link whose turn it is
	numbers  uint64
	busy     bool   // said so
	decided  bool   // Reserve has said Leave
	declined bool   // Reserve has said Rest
	round    uint64 // the worker's when it did
	rested   bool   // said so
	nextPoll time.Time
	timer    *time.Timer
	buf      []byte
	names    map[string]string // function names, so that a job need not copy its own
}

// newSlot makes slot n of w; run makes it live.
func newSlot(w *Worker, n int) *slot {
	return &slot{
		worker: w,
		number: n,
		events: make(chan linkEvent, 8),
		pokes:  make(chan struct{}, 1),
		done:   make(chan struct{}),
		timer:  time.NewTimer(time.Hour),
		names:  map[string]string{},
	}
}

// leave makes the slot leave when its job in hand is done. For others.
func (s *slot) leave() {
	s.gone.Store(true)
	s.poke()
	if c := s.reading.Load(); c != nil {
		// It waits for the answer to a GRAB_JOB: a server that hangs is not
		// waited for any longer than it takes to leave.
		c.hurry()
	}
}

// poke makes the slot look at the settings. For others.
func (s *slot) poke() {
	select {
	case s.pokes <- struct{}{}:
	default:
	}
}

// post sends an event to the slot, unless it has ended.
func (s *slot) post(e linkEvent) bool {
	select {
	case s.events <- e:
		return true
	case <-s.done:
		return false
	}
}

// run performs jobs until the slot has to leave or ctx ends. It reports
// whether the slot left because Reserve said so.
func (s *slot) run(ctx context.Context) (byChoice bool) {
	defer s.closeAll()
	defer s.timer.Stop()
	s.nextPoll = time.Now().Add(s.poll())
	for ctx.Err() == nil {
		s.disown()
		s.apply(ctx)
		if s.gone.Load() || s.decided {
			s.leaveAll(ctx)
			break
		}
		if s.catchUp(ctx) {
			continue
		}
		if l := s.nextAwake(); l != nil {
			s.serve(ctx, l)
			continue
		}
		s.settle()
		s.wait(ctx)
	}
	return s.decided
}

// poll draws the time until the slot asks although nobody woke it: spread, so
// that the slots of a fleet do not ask together.
func (s *slot) poll() time.Duration {
	d := s.worker.cfg.PollInterval
	return d/2 + time.Duration(jitter()*float64(d)/2)
}

// apply takes over changed settings on every link that can take them now.
func (s *slot) apply(ctx context.Context) {
	next := s.worker.settings.Load()
	if next != s.known {
		s.rested = s.rested && next.rest == s.known.rest
		s.known = next
		s.applyServers(ctx)
	}
	s.reconsider()
	for _, l := range s.links {
		s.applyTo(ctx, l)
	}
	s.links = slices.DeleteFunc(s.links, func(l *link) bool { return l.over })
	s.heed()
}

// applyServers begins to leave servers that are no longer wanted, and to connect to
// new ones.
func (s *slot) applyServers(ctx context.Context) {
	for _, l := range s.links {
		l.leaving = l.leaving || !slices.Contains(s.known.servers, l.server)
		if since := s.known.since[l.server]; !l.leaving && since != l.since {
			l.since = since
			s.wantedAgain(l)
		}
	}
	for _, addr := range s.known.servers {
		if !slices.ContainsFunc(s.links, func(l *link) bool { return l.server == addr && !l.leaving }) {
			l := &link{server: addr, since: s.known.since[addr]}
			s.links = append(s.links, l)
			s.startConnecting(ctx, l, 0)
		}
	}
}

// applyTo brings one connection to what the settings say: hold, functions and size, or
// its end.
// A server may have spent its wake-up for a job on a slot that sleeps, so that
// one asks for jobs once more before it does anything that would keep it from
// taking that one. The first registration of a connection is followed by an echo,
// whose answer shows that the server has taken it.
func (s *slot) applyTo(ctx context.Context, l *link) {
	if l.leaving {
		s.part(l)
		return
	}
	if l.conn != nil {
		l.conn.reader.SetMaxData(s.known.maxData)
	}
	if l.state == linkDown || l.state == linkParked {
		return // down: registers when it connects; parked: a GRAB_JOB is out, so not now
	}
	hold := s.hold()
	l.stale = hold != HoldNone || !slices.Equal(l.registered, s.known.functions)
	if l.slept && l.stale {
		l.state = linkAwake
		return
	}
	if hold == HoldConnected && !l.declared {
		return
	}
	out := registration(l.registered, s.known.functions)
	if !l.declared {
		l.declared = true
		l.conn.echoing.Store(true)
		out = wire.AppendUnchecked(out, wire.Request, wire.EchoReq, []byte(echoText))
	}
	if out != nil {
		l.registered = s.known.functions
		if err := l.conn.write(out); err != nil {
			s.lose(ctx, l, err)
			return
		}
	}
	l.stale = false
	if l.state == linkHeld && hold == HoldNone {
		l.state = linkAwake
	}
}

// registration gives the packets that turn the functions a server knows into
// those wanted, both in the order of sending, or nil. The order is their priority, and
// a server adds at the end, so that those which come to stand behind others are sent
// anew, each with nothing between its two packets; all others are left alone.
func registration(known, want []string) []byte {
	var out []byte
	for _, f := range known {
		if !slices.Contains(want, f) {
			out = wire.AppendUnchecked(out, wire.Request, wire.CantDo, []byte(f))
		}
	}
	for _, f := range want[keeping(known, want):] {
		if slices.Contains(known, f) {
			out = wire.AppendUnchecked(out, wire.Request, wire.CantDo, []byte(f))
		}
		out = wire.AppendUnchecked(out, wire.Request, wire.CanDo, []byte(f))
	}
	return out
}

// keeping is how many of the functions wanted, from the first on, a server knows in
// their order.
func keeping(known, want []string) (n int) {
	for _, f := range known {
		if n < len(want) && f == want[n] {
			n++
		}
	}
	return n
}

// nextAwake returns the link whose turn it is among those awake, or nil.
func (s *slot) nextAwake() *link {
	for i := range s.links {
		l := s.links[(s.turn+i)%len(s.links)]
		if l.state == linkAwake {
			s.turn = (s.turn + i) % len(s.links)
			return l
		}
	}
	return nil
}

// others reports whether a link beside l is awake, which ends l's turn sooner.
func (s *slot) others(l *link) bool {
	for _, o := range s.links {
		if o != l && o.state == linkAwake {
			return true
		}
	}
	return false
}

// catchUp takes in what happened during a turn, while the slot is free. It
// reports whether anything did.
func (s *slot) catchUp(ctx context.Context) (some bool) {
	for len(s.events) > 0 {
		s.handle(ctx, <-s.events)
		some = true
	}
	return some
}

// wait blocks until something happens: an event, new settings, or the time to
// poll.
func (s *slot) wait(ctx context.Context) {
	d := time.Until(s.nextPoll)
	if s.busy {
		d = min(d, idleAfter)
	}
	s.timer.Reset(d)
	select {
	case e := <-s.events:
		s.handle(ctx, e)
	case <-s.pokes:
	case <-s.timer.C:
		s.expired()
	case <-ctx.Done():
	}
}

// expired says that the slot is idle, or wakes every link to ask for jobs.
func (s *slot) expired() {
	if s.busy {
		s.busy = false
		s.worker.cfg.Events.Idle(s.number)
		return
	}
	s.nextPoll = time.Now().Add(s.poll())
	for _, l := range s.links {
		if l.state == linkAsleep {
			l.state = linkAwake
		}
	}
}

// handle takes an event in while the slot is free.
func (s *slot) handle(ctx context.Context, e linkEvent) {
	s.owns = s.owns || e.claimed
	l := e.link
	if e.number != l.number { // of an earlier connection
		if e.conn != nil {
			e.conn.close()
		}
		return
	}
	if l.state == linkDown {
		s.connected(ctx, e)
		return
	}
	l.listening = false
	if e.err != nil && !isTooLarge(e.err) {
		s.lose(ctx, l, e.err)
		return
	}
	s.heard(ctx, l, e)
}

// heard takes in a packet from a link that was listened to.
func (s *slot) heard(ctx context.Context, l *link, e linkEvent) {
	switch {
	case isAssign(e.packet.Type) && !l.asked:
		s.lose(ctx, l, errUnasked)
	case isAssign(e.packet.Type) && !s.own(): // another one has come just now
		s.lose(ctx, l, errLateJob)
	case isAssign(e.packet.Type):
		l.answered()
		s.perform(ctx, l, e.packet, e.err, never)
	case e.packet.Type == wire.NoJob && l.asked:
		l.answered()
		s.release(l)
		if s.hold() == HoldNone && s.steady(ctx, l) {
			s.sleep(ctx, l)
		}
	case e.packet.Type == wire.Noop && l.state == linkAsleep:
		l.state = linkAwake
	case e.packet.Type == wire.Error:
		s.refused(l, e.packet)
		s.listen(l)
	case e.packet.Type == wire.EchoRes:
		s.echoed(l)
		s.listen(l)
	default: // a NOOP out of turn, an option's answer
		s.listen(l)
	}
}
