package manager

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

const (
	// serverPatience is how long a worker that is to change its job servers waits for
	// those that are new, where it has another of its list.
	serverPatience = 2 * time.Second
	// serverPatienceMost is how long it waits where it has none: one that leaves the last
	// server that it reaches does nothing any more.
	serverPatienceMost = 30 * time.Second
)

// sync tells workers what has changed since they were told last.
func (p *pool) sync(ctx context.Context) {
	if p.stopping || p.leaves {
		return
	}
	for _, w := range p.workers() {
		if w.proc != nil && !w.telling() && w.killed == notKilled && !w.letGo && !w.left {
			p.syncWorker(ctx, w)
		}
	}
}

// whenTold returns what is closed when all workers know what they have been told so far.
func (p *pool) whenTold() <-chan struct{} {
	told := make(chan struct{})
	p.waiting = append(p.waiting, told)
	return told
}

// answerWaiting is called after sync.
func (p *pool) answerWaiting() {
	if len(p.waiting) == 0 || slices.ContainsFunc(p.workers(), func(w *worker) bool { return w.telling() }) {
		return
	}
	for _, told := range p.waiting {
		close(told)
	}
	p.waiting = nil
}

// setVerbosity tells all workers how much they are to say.
func (p *pool) setVerbosity(verbosity int) {
	for _, e := range p.editions() {
		s := *e.assigned
		s.verbosity = verbosity
		e.assigned = &s
	}
	p.wanted.verbosity = verbosity
}

func (p *pool) syncWorker(ctx context.Context, w *worker) {
	want := w.edition.assigned
	s := &workerpb.Settings{}
	if w.told != want {
		p.syncPlan(w, want, s)
	}
	var paused, resumed []string
	if p.holds() {
		paused, resumed = difference(want.pausedOf(), w.told.pausedOf())
		p.syncSlots(ctx, w, s)
		p.syncServers(w, want, s)
	}
	w.told = want
	if proto.Size(s) == 0 && len(paused)+len(resumed) == 0 {
		return
	}
	p.inTurn(ctx, w, func(ctx context.Context) error {
		if proto.Size(s) > 0 {
			if err := w.proc.Set(ctx, s); err != nil {
				return err
			}
		}
		if len(resumed) > 0 {
			if err := w.proc.Resume(ctx, resumed...); err != nil {
				return err
			}
		}
		if len(paused) > 0 {
			return w.proc.Pause(ctx, paused...)
		}
		return nil
	})
}

// difference returns what only one of two lists has.
func difference(a, b []string) (onlyA, onlyB []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			onlyA = append(onlyA, s)
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			onlyB = append(onlyB, s)
		}
	}
	return onlyA, onlyB
}

// syncPlan finds what of limits and functions a worker has to be told.
func (p *pool) syncPlan(w *worker, want *assignment, s *workerpb.Settings) {
	now := time.Now()
	had := w.told.plan
	if had.MaxLifetime != want.plan.MaxLifetime || had.RestartSplay != want.plan.RestartSplay {
		w.lifetime = p.lifetime()
		w.diesAt = time.Time{}
		if w.lifetime > 0 {
			w.diesAt = w.ready.Add(w.lifetime)
		}
	}
	before, after := p.request(w, w.told), p.request(w, want)
	if !proto.Equal(before.GetLimits(), after.GetLimits()) || had.MaxLifetime != want.plan.MaxLifetime || had.RestartSplay != want.plan.RestartSplay {
		s.Limits = after.GetLimits()
	}
	if !p.holds() {
		return
	}
	if !proto.Equal(&workerpb.FunctionList{Functions: before.GetFunctions()}, &workerpb.FunctionList{Functions: after.GetFunctions()}) {
		s.Functions = &workerpb.FunctionList{Functions: p.offered(w, want)}
	}
	if before.GetVerbosity() != after.GetVerbosity() {
		s.Verbosity = &after.Verbosity
	}
	p.planWatch(w, now)
}

// request is what a worker would be told of settings at its start, in an order of
// functions that does not depend on chance.
func (p *pool) request(w *worker, s *assignment) *workerpb.RunRequest {
	return runRequest(s.plan, runFacts{
		numbers: s.numbers, verbosity: s.verbosity, maxData: s.maxData, lifetime: w.lifetime,
		random: inOrder,
	})
}

// offered are the functions in the order in which a worker is to offer them: by priority,
// then as it did, since to move one is to take it from the servers for a moment.
func (p *pool) offered(w *worker, s *assignment) []*workerpb.Function {
	plan := *s.plan
	plan.Functions = slices.Clone(s.plan.Functions)
	place := func(f FunctionPlan) int {
		if i := slices.Index(w.offers, f.Name); i >= 0 {
			return i
		}
		return len(w.offers)
	}
	slices.SortStableFunc(plan.Functions, func(a, b FunctionPlan) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(place(a), place(b)))
	})
	list := runRequest(&plan, runFacts{numbers: s.numbers, random: inOrder}).GetFunctions()
	w.offers = namesOf(list)
	return list
}

// inOrder is no chance: functions are offered as they stand.
func inOrder() float64 { return 1 }

func namesOf(functions []*workerpb.Function) (names []string) {
	for _, f := range functions {
		names = append(names, f.GetName())
	}
	return names
}

// syncSlots finds whether a worker has another number of slots than its place. One that
// cannot be given more is replaced.
func (p *pool) syncSlots(ctx context.Context, w *worker, s *workerpb.Settings) {
	if w.state == StateDraining || w.place == p.bench || w.size() == w.place.slots || slices.Contains(p.removed, w.place) {
		return
	}
	if w.place.worker != w && (!w.rolls || w.size() < w.place.slots) {
		return // its successor will have them
	}
	if w.size() > w.place.slots {
		most := w.size()
		if w.registeredSlots() > 0 && p.isBeingLaid(time.Now()) { // others are to be registered first
			most = max(0, p.lastingSlots(nil)-p.plan().Slots)
		}
		if most == 0 {
			return
		}
		p.shrink(w, max(w.place.slots, w.size()-most))
		s.Slots = p.slotList(w)
		return
	}
	room := p.plan().Slots - p.sums().taking
	switch {
	case room <= 0 && !p.removedStay():
		return // until others rest
	case room <= 0, !p.grow(w, min(w.place.slots, w.size()+room)):
		p.enlarge(ctx, w)
		return
	}
	s.Slots = p.slotList(w)
}

// removedStay tells whether workers without a place go on because they would be missed.
func (p *pool) removedStay() bool {
	return slices.ContainsFunc(p.removed, func(pl *place) bool { return pl.worker != nil && !pl.worker.letGo })
}

// syncServers finds which job servers a worker is to be told of: those that it is to leave
// are among them until it has reached others.
func (p *pool) syncServers(w *worker, want *assignment, s *workerpb.Settings) {
	if slices.Equal(w.servers, want.servers) {
		w.moved = time.Time{}
		return
	}
	now := time.Now()
	union := slices.Clone(want.servers)
	for _, server := range w.servers {
		if !slices.Contains(union, server) {
			union = append(union, server)
		}
	}
	if w.moved.IsZero() {
		w.moved, w.movesAt = now, now.Add(serverPatience)
	}
	switch {
	case len(union) == len(want.servers) || p.mayMove(w, want.servers, now):
		w.servers, w.moved = want.servers, time.Time{}
		p.leaveServers(w)
	case slices.Equal(w.servers, union):
		return
	default:
		w.servers, w.moved, w.movesAt = union, now, now.Add(serverPatience)
	}
	s.Servers = &workerpb.ServerList{Servers: serverList(w.servers)}
}

// leaveServers forgets what slots are connected to that a worker is to leave: it does not
// tell of these any more.
func (p *pool) leaveServers(w *worker) {
	for _, s := range w.slots {
		for server := range s.connected {
			if !w.isToldOf(server) {
				delete(s.connected, server)
				p.cfg.reach.leave(server)
			}
		}
	}
}

// mayMove tells whether a worker may leave the servers that it is not to have any more, or
// plans the next look.
func (p *pool) mayMove(w *worker, to []jobServer, now time.Time) bool {
	all, some := true, true
	for i := range w.slots[:w.used] {
		reached := 0
		for _, server := range to {
			if w.slots[i].connected[server.address] {
				reached++
			}
		}
		all = all && reached == len(to)
		some = some && reached > 0
	}
	since := now.Sub(w.moved)
	switch {
	case all, some && since >= serverPatience, since >= serverPatienceMost:
		return true
	case since >= serverPatience:
		w.movesAt = w.moved.Add(serverPatienceMost)
	}
	return false
}
