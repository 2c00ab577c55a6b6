package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// actor is a worker without a process that does what the contract says: it registers slots
// as far as it may, changes its slots and servers, rests when it retires, and leaves when
// its jobs are done. The test gives it jobs.
type actor struct {
	code    string // of its edition: "good", "mute", …
	hash    string
	name    string
	pid     int
	events  chan *workerpb.Event
	done    chan struct{}
	records *jobrecord.File
	now     func() time.Duration // the clock of job records
	delay   time.Duration        // that registering takes

	mu       sync.Mutex
	slots    []*actorSlot
	servers  []string
	same     workerpb.Hold // of all slots
	mixed    bool          // they have not all the same
	drained  bool
	retiring string
	tired    bool // it leaves by itself soon
	left     bool
	ended    bool
	deaf     bool
	exit     supervisor.Exit
	jobs     int
}

type actorSlot struct {
	record     int
	hold       workerpb.Hold
	dropped    bool
	rested     bool
	job        string          // in hand
	registered map[string]bool // by server; false: connected
}

func newActor(launch host.Launch, pid int, code, hash string, now func() time.Duration, delay time.Duration) (*actor, error) {
	request := launch.Request()
	records, err := jobrecord.Open(request.GetRecordFile())
	if err != nil {
		return nil, fmt.Errorf("open job records: %w", err)
	}
	a := &actor{
		code: code, hash: hash, name: launch.Name, pid: pid, events: make(chan *workerpb.Event, 10_000), done: make(chan struct{}),
		records: records, now: now, delay: delay, same: request.GetHold(),
	}
	for _, s := range request.GetServers() {
		a.servers = append(a.servers, s.GetAddress())
	}
	for _, s := range request.GetSlots() {
		a.slots = append(a.slots, &actorSlot{record: int(s.GetRecord()), hold: a.same, registered: map[string]bool{}})
	}
	return a, nil
}

func (a *actor) PID() int { return a.pid }
func (a *actor) Hello() *workerpb.Hello {
	return &workerpb.Hello{Description: &workerpb.Description{Contract: 1}}
}
func (a *actor) Events() <-chan *workerpb.Event { return a.events }
func (a *actor) Err() error                     { return nil }
func (a *actor) Done() <-chan struct{}          { return a.done }
func (a *actor) Exit() supervisor.Exit          { return a.exit }
func (a *actor) Tail() []string                 { return nil }
func (a *actor) LastLines() []string            { return nil }
func (a *actor) Release()                       { a.end(supervisor.Exit{PID: a.pid}) }

func (a *actor) Kill() error {
	a.end(supervisor.Exit{PID: a.pid, Code: -1, Signal: syscall.SIGKILL})
	return nil
}

func (a *actor) end(exit supervisor.Exit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.ended, a.exit = true, exit
	close(a.events)
	close(a.done)
	_ = a.records.Close()
}

// answer does what a call asks for, unless the actor is deaf.
func (a *actor) answer(ctx context.Context, what func()) error {
	a.mu.Lock()
	if a.deaf {
		a.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	defer a.mu.Unlock()
	if a.ended {
		return host.ErrEnded
	}
	what()
	return nil
}

func (a *actor) Go(ctx context.Context, hold workerpb.Hold, slots uint32) error {
	return a.answer(ctx, func() {
		a.mixed = slots > 0 && int(slots) < len(a.slots)
		a.same = hold
		for i, s := range a.slots {
			if slots == 0 || i < int(slots) {
				s.hold = hold
			}
		}
		a.later()
	})
}

func (a *actor) Set(ctx context.Context, s *workerpb.Settings) error {
	return a.answer(ctx, func() {
		if list := s.GetServers(); list != nil {
			a.servers = nil
			for _, server := range list.GetServers() {
				a.servers = append(a.servers, server.GetAddress())
			}
		}
		if list := s.GetSlots(); list != nil {
			a.setSlots(list.GetSlots())
		}
		a.later()
	})
}

// setSlots drops slots, or adds some. A dropped one that has a job keeps it, and its record.
func (a *actor) setSlots(list []*workerpb.Slot) {
	for i, s := range list {
		switch {
		case i >= len(a.slots):
			hold := a.same
			if a.mixed {
				hold = workerpb.Hold_HOLD_CONNECTED
			}
			a.slots = append(a.slots, &actorSlot{record: int(s.GetRecord()), hold: hold, registered: map[string]bool{}})
		case a.slots[i].dropped:
			a.slots[i].dropped, a.slots[i].registered = false, map[string]bool{}
		}
	}
	for i := len(list); i < len(a.slots); i++ {
		s := a.slots[i]
		if s.dropped {
			continue
		}
		s.dropped, s.registered = true, map[string]bool{}
		if s.job == "" {
			a.say(&workerpb.Event{Event: &workerpb.Event_Rested{Rested: &workerpb.Rested{Slot: uint32(i)}}}) //nolint:gosec // a few slots
		}
	}
}

// has tells whether the actor was told of these servers.
func (a *actor) has(servers []jobServer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.drained || slices.Equal(a.servers, addresses(servers))
}

func (a *actor) Pause(ctx context.Context, _ ...string) error  { return a.answer(ctx, func() {}) }
func (a *actor) Resume(ctx context.Context, _ ...string) error { return a.answer(ctx, func() {}) }
func (a *actor) Ping(ctx context.Context) error                { return a.answer(ctx, func() {}) }
func (a *actor) Suspect(ctx context.Context, _ *workerpb.Suspects) error {
	return a.answer(ctx, func() {})
}

func (a *actor) Drain(ctx context.Context, _ string) error {
	return a.answer(ctx, func() {
		a.drained = true
		a.rest()
	})
}

// later has the actor register as far as it may. It holds mu.
func (a *actor) later() {
	if a.delay == 0 {
		a.register()
		return
	}
	time.AfterFunc(a.delay, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.ended {
			a.register()
		}
	})
}

func (a *actor) register() {
	for i, s := range a.slots {
		for server := range s.registered {
			if !slices.Contains(a.servers, server) {
				delete(s.registered, server) // of which there is no event
			}
		}
		if s.dropped || s.rested && a.drained {
			continue
		}
		for _, server := range a.servers {
			if strings.HasPrefix(server, "gone") {
				continue
			}
			registered := s.hold != workerpb.Hold_HOLD_CONNECTED && a.code != "mute"
			was, connected := s.registered[server]
			if connected && (was || !registered) {
				continue
			}
			s.registered[server] = registered
			a.say(&workerpb.Event{Event: &workerpb.Event_Ready{Ready: &workerpb.Ready{
				Slot: uint32(i), Server: server, Registered: registered, //nolint:gosec // a few slots
			}}})
		}
	}
}

// say tells the pool. The caller holds mu.
func (a *actor) say(e *workerpb.Event) {
	if !a.ended && !a.left {
		a.events <- e
	}
}

// rest says which slots have nothing in hand any more, and leaves when it was told to and
// none has.
func (a *actor) rest() {
	busy := false
	for i, s := range a.slots {
		if s.job != "" {
			busy = true
		} else if !s.rested {
			s.rested = true
			a.say(&workerpb.Event{Event: &workerpb.Event_Rested{Rested: &workerpb.Rested{Slot: uint32(i)}}}) //nolint:gosec // a few slots
		}
	}
	if a.retiring != "" && !a.drained && !busy && !a.tired {
		a.tired = true
		time.AfterFunc(10*time.Second, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.drained = true
			a.rest()
		})
	}
	if a.drained && !busy && !a.left {
		a.say(&workerpb.Event{Event: &workerpb.Event_Left{Left: &workerpb.Left{}}})
		a.left = true
	}
}

// retire has the actor decide to leave.
func (a *actor) retire(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.drained || a.retiring != "" {
		return
	}
	a.retiring = reason
	a.drained = hasGrace(reason)
	a.say(&workerpb.Event{Event: &workerpb.Event_Retiring{Retiring: &workerpb.Retiring{Reason: reason}}})
	a.rest()
}

// begin takes a job, if the slot may.
func (a *actor) begin(slot int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.code == "dying" || slot >= len(a.slots) || !a.mayTake(a.slots[slot]) || a.slots[slot].job != "" {
		return
	}
	s := a.slots[slot]
	if r, err := a.records.Record(s.record); err == nil && !r.Snapshot().Busy {
		a.jobs++
		s.job = fmt.Sprintf("H:%d:%d", a.pid, a.jobs)
		r.Begin(jobrecord.Job{Handle: s.job, Hash: 7}, a.now(), 10)
		a.say(&workerpb.Event{Event: &workerpb.Event_Busy{Busy: &workerpb.Busy{Slot: uint32(slot)}}}) //nolint:gosec // a few slots
	}
}

// mayTake tells whether a slot may take jobs. The caller holds mu.
func (a *actor) mayTake(s *actorSlot) bool {
	return !s.dropped && !a.drained && a.retiring == "" && s.hold == workerpb.Hold_HOLD_NONE && slices.Contains(values(s.registered), true)
}

func values(m map[string]bool) (all []bool) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// finish ends the job of a slot.
func (a *actor) finish(slot int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || slot >= len(a.slots) || a.slots[slot].job == "" {
		return
	}
	s := a.slots[slot]
	if r, err := a.records.Record(s.record); err == nil {
		r.End(a.now(), false, 10)
	}
	s.job = ""
	if s.dropped && !a.drained && a.retiring == "" {
		a.say(&workerpb.Event{Event: &workerpb.Event_Rested{Rested: &workerpb.Rested{Slot: uint32(slot)}}}) //nolint:gosec // a few slots
	}
	if a.drained || a.retiring != "" {
		a.rest()
	}
}

// actorSums are slots of an actor that are registered, and those that take jobs or have one.
func (a *actor) sums() (registered, taking int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return 0, 0
	}
	for _, s := range a.slots {
		if a.mayTake(s) || s.job != "" && !hasGrace(cmpOr(a.retiring, "max_runs")) {
			taking++
		}
		if !a.drained && !s.dropped && slices.Contains(values(s.registered), true) {
			registered++
		}
	}
	return registered, taking
}

// hasLastJob tells whether a job goes on though the actor has been told to leave: it is not
// waited for then.
func (a *actor) hasLastJob() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.ended && a.drained && slices.ContainsFunc(a.slots, func(s *actorSlot) bool { return s.job != "" })
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

var errHang = errors.New("it did not say hello within a minute")
