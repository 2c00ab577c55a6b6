package plugins

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// fakeSlots note what they are told.
type fakeSlots struct {
	rests, resumes, drains atomic.Int64
}

func (s *fakeSlots) Rest()   { s.rests.Add(1) }
func (s *fakeSlots) Resume() { s.resumes.Add(1) }
func (s *fakeSlots) Drain()  { s.drains.Add(1) }

func newTestRest() (*rest, *fakeSlots) {
	slots := &fakeSlots{}
	r := &rest{slots: slots, events: newEventQueue(), inHand: new(atomic.Int64), waits: restFor, said: map[int]bool{}}
	r.leave = time.AfterFunc(time.Hour, r.over)
	r.leave.Stop()
	return r, slots
}

// TestRestEnds leaves 10 s after the last job, which may take as long as it likes.
func TestRestEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, slots := newTestRest()
		drained := func(want bool, when string) {
			t.Helper()
			synctest.Wait()
			if got := slots.drains.Load() > 0; got != want {
				t.Errorf("%s: left %t, want %t", when, got, want)
			}
		}
		r.jobDone()
		<-time.After(time.Hour)
		drained(false, "before it rests")
		r.inHand.Add(1)
		r.begin()
		r.begin()
		<-time.After(time.Hour)
		drained(false, "with a job in hand")
		r.inHand.Add(-1)
		r.jobDone()
		<-time.After(9 * time.Second)
		drained(false, "9 s after a job")
		r.jobDone()
		<-time.After(9 * time.Second)
		drained(false, "9 s after another job")
		<-time.After(2 * time.Second)
		drained(true, "11 s after the last job")
		if n := slots.rests.Load(); n != 1 {
			t.Errorf("told to rest %d times", n)
		}
	})
}

// TestRestIsToldOnce tells of each slot once, after the worker has retired.
func TestRestIsToldOnce(t *testing.T) {
	t.Parallel()
	r, slots := newTestRest()
	r.slotRested(0) // since all runs are reserved
	r.resume()
	r.begin()
	r.resume()
	for _, slot := range []int{2, 0, 2, 0} {
		r.slotRested(slot)
	}
	r.end()
	events, _ := r.events.take()
	if len(events) != 2 || events[0].GetRested().GetSlot() != 2 || events[1].GetRested() == nil || events[1].GetRested().GetSlot() != 0 {
		t.Errorf("events %v", events)
	}
	if n := slots.resumes.Load(); n != 1 {
		t.Errorf("told to go on %d times, want once", n)
	}
	var none *rest
	none.slotRested(0)
	none.resume()
	none.jobDone()
	none.end()
}

func TestRestsAfter(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		"max_runs": true, "max_lifetime": true, "max_memory": true, "panic": true,
		"timeout": false, "drain": false, "manager gone": false, "SIGTERM": false,
	} {
		if got := restsAfter(reason); got != want {
			t.Errorf("after %s: %t", reason, got)
		}
	}
}

// TestAgeCountsFromTheStart sets the limit of the age of a worker that has lived for
// a while.
func TestAgeCountsFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var over atomic.Bool
		p := &performer{began: time.Now(), lifetime: time.AfterFunc(time.Hour, func() { over.Store(true) })}
		for _, c := range []struct {
			limit uint64 // seconds
			after time.Duration
			over  bool
		}{{0, 2 * time.Hour, false}, {3 * 3600, 30 * time.Minute, false}, {3 * 3600, 31 * time.Minute, true}, {60, 0, true}} {
			over.Store(false)
			p.setLifetime(&workerpb.Limits{MaxLifetimeMs: c.limit * 1000})
			<-time.After(c.after)
			synctest.Wait()
			if got := over.Load(); got != c.over {
				t.Errorf("limit %d s at %v: over %t, want %t", c.limit, time.Since(p.began), got, c.over)
			}
		}
	})
}
