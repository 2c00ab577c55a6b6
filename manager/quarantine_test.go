package manager

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// aCharge charges a job of resize, which may be tried twice.
func aCharge(handle string) charge {
	return charge{
		job: jobKey{"s:1", handle, 7}, function: FunctionPlan{Name: "resize", JobAttempts: 2},
		unique: "u" + handle, worker: "resize/3", attempt: true, cause: "worker resize/3 was killed by SIGSEGV",
	}
}

// aManager is a manager without workers, whose events are kept.
func aManager(l *ledger, pools ...*pool) (*Manager, *[]Event) {
	events := &[]Event{}
	stream := newStream(zerolog.Nop(), func(e Event) { *events = append(*events, e) }, pastEvents)
	return &Manager{ledger: l, pools: pools, events: stream}, events
}

func TestQuarantineList(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLedger(10)
	l.now = func() time.Time { return now }
	m, _ := aManager(l)
	l.charge(aCharge("bad"))
	now = now.Add(time.Minute)
	l.charge(aCharge("new\xff"))
	second := aCharge("bad")
	second.unique, second.worker, second.cause = "", "resize/1", "worker resize/1 exited with 3"
	l.charge(second)
	want := []QuarantinedJob{
		{
			Server: "s:1", Function: "resize", Handle: "new\uFFFD", Unique: "unew\xff", Attempts: 1,
			Cause: "worker resize/3 was killed by SIGSEGV", Worker: "resize/3", First: now, Last: now,
		},
		{
			Server: "s:1", Function: "resize", Handle: "bad", Unique: "ubad", Attempts: 2, Quarantined: true,
			Cause:  "given up after 2 of 2 attempts: worker resize/1 exited with 3",
			Worker: "resize/1", First: now.Add(-time.Minute), Last: now,
		},
	}
	if diff := cmp.Diff(want, m.Quarantine()); diff != "" {
		t.Error(diff)
	}
	if m.Quarantine()[0].Attempts = 9; m.Quarantine()[0].Attempts != 1 {
		t.Error("the list is not the caller's own")
	}
}

func TestSuspectsExpire(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLedger(10)
	l.now = func() time.Time { return now }
	l.charge(aCharge("suspect"))
	l.charge(aCharge("bad"))
	l.charge(aCharge("bad"))
	functions := []FunctionPlan{{Name: "resize"}}
	_, known := l.of(functions)
	handles := func() (out []string) {
		for _, s := range l.all() {
			out = append(out, s.key.handle)
		}
		return out
	}
	now = now.Add(suspectFor - time.Nanosecond)
	if got := handles(); len(got) != 2 {
		t.Errorf("after almost a day: %q", got)
	}
	now = now.Add(time.Nanosecond)
	if got := handles(); !slices.Equal(got, []string{"bad"}) {
		t.Errorf("after a day: %q", got)
	}
	if news := l.since(known, functions); len(news.GetRemove()) != 1 || news.GetRemove()[0].GetHandle() != "suspect" {
		t.Errorf("a worker that was just asked to run is told %v", news)
	}
	if _, forgotten := l.charge(aCharge("other")); len(forgotten) != 1 || forgotten[0].key.handle != "suspect" {
		t.Errorf("the others are told with the next charge: %v", forgotten)
	}
	if _, forgotten := l.charge(aCharge("other")); len(forgotten) != 0 {
		t.Errorf("they are told once: %v", forgotten)
	}
	now = now.Add(quarantineFor - suspectFor)
	if got := handles(); !slices.Equal(got, []string{"other"}) {
		t.Errorf("after a week: %q", got)
	}
}

// TestChargedAgainAfterItWasDropped: nobody is told to forget what was just added.
func TestChargedAgainAfterItWasDropped(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLedger(10)
	l.now = func() time.Time { return now }
	l.charge(aCharge("it"))
	functions := []FunctionPlan{{Name: "resize"}}
	_, known := l.of(functions)
	now = now.Add(suspectFor)
	told, forgotten := l.charge(aCharge("it"))
	if told.GetAttempts() != 1 || len(forgotten) != 0 {
		t.Errorf("told %v, forgotten %v", told, forgotten)
	}
	if news := l.since(known, functions); len(news.GetAdd()) != 1 || len(news.GetRemove()) != 0 {
		t.Errorf("news %v", news)
	}
	if news := l.since(known, []FunctionPlan{{Name: "wc"}}); news != nil {
		t.Errorf("news for others %v", news)
	}
}

func TestReleaseFindsItsJobs(t *testing.T) {
	t.Parallel()
	l := newLedger(10)
	m, events := aManager(l)
	for _, handle := range []string{"H:a:1", "H:a:2", "H:a:2"} {
		l.charge(aCharge(handle))
	}
	restarted := aCharge("H:a:1")
	restarted.job.hash = 8
	l.charge(restarted)
	elsewhere := aCharge("H:a:1")
	elsewhere.job.server = "s:2"
	l.charge(elsewhere)

	missing := &NotSuspectError{}
	if n, err := m.ReleaseJob(t.Context(), "s:9", "H:a:1"); n != 0 || !errors.As(err, &missing) || !strings.Contains(err.Error(), `"H:a:1" of s:9`) {
		t.Errorf("another server: %d, %v", n, err)
	}
	if n, err := m.ReleaseJob(t.Context(), "", "H:a:"); n != 0 || err == nil || strings.Contains(err.Error(), " of ") {
		t.Errorf("part of a handle: %d, %v", n, err)
	}
	if n, err := m.ReleaseJob(t.Context(), "s:1", "H:a:1"); n != 2 || err != nil {
		t.Errorf("a job: %d, %v", n, err)
	}
	if got := len(m.Quarantine()); got != 2 {
		t.Errorf("%d are left", got)
	}
	if n := m.ReleaseAllJobs(t.Context()); n != 2 || len(m.Quarantine()) != 0 {
		t.Errorf("released %d, %v are left", n, m.Quarantine())
	}
	if n := m.ReleaseAllJobs(t.Context()); n != 0 {
		t.Errorf("released %d of none", n)
	}
	released := only[JobReleased](*events)
	if len(released) != 4 || released[0].Unique != "uH:a:1" || released[0].Quarantined || !released[2].Quarantined {
		t.Errorf("events %+v", released)
	}
	if s, _ := l.charge(aCharge("H:a:2")); s.GetAttempts() != 1 || s.GetFail() {
		t.Errorf("a job that was released begins anew: %v", s)
	}
}

// TestReleaseIsTold: the worker that runs and the one that is just being started
// both hear of it.
func TestReleaseIsTold(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		m, _ := aManager(f.pool.cfg.ledger, f.pool)
		for range 3 {
			w := f.worker("resize/1")
			w.begin("H:a:bad")
			w.crash(syscall.SIGSEGV)
			pass(time.Second)
		}
		list := m.Quarantine()
		if len(list) != 1 || !list[0].Quarantined || list[0].Worker != "resize/1" || list[0].Attempts != 3 {
			t.Fatalf("list %+v", list)
		}
		if n, err := m.ReleaseJob(t.Context(), "", "H:a:bad"); n != 1 || err != nil {
			t.Fatalf("released %d: %v", n, err)
		}
		for _, name := range []string{"resize/1", "resize/2"} {
			if line := fmt.Sprintf("forget %s H:a:bad", name); !slices.Contains(f.lines, line) {
				t.Errorf("%q is missing: %q", line, f.lines)
			}
		}
		f.worker("resize/1").crash(syscall.SIGSEGV)
		pass(time.Second)
		if told := f.worker("resize/1").request.GetSuspects(); len(told) != 0 {
			t.Errorf("the next worker is told %v", told)
		}
	})
}

func TestReleaseIsToldToAWorkerThatStarts(t *testing.T) {
	t.Parallel()
	runSlowPool(t, onePlan(1), func(f *fakeFleet) {
		m, _ := aManager(f.pool.cfg.ledger, f.pool)
		m.ledger.charge(aCharge("early")) // too late for the request of the one that is being started
		if n := m.ReleaseAllJobs(t.Context()); n != 1 {
			t.Errorf("released %d", n)
		}
		close(f.hello)
		pass(time.Second)
		if line := "forget resize/1 early"; !slices.Contains(f.lines, line) {
			t.Errorf("%q is missing: %q", line, f.lines)
		}
	})
}
