package plugins

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func mustDefine(t *testing.T, names ...string) *definition {
	t.Helper()
	var parts []Part
	for _, n := range names {
		parts = append(parts, Func(n, func(context.Context, *Job) ([]byte, error) { return nil, nil }))
	}
	d, err := define(parts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDefine(t *testing.T) {
	t.Parallel()
	h := func(context.Context, *Job) ([]byte, error) { return nil, nil }
	for want, parts := range map[string][]Part{
		"at least one Func": {Version("1")},
		"or Any alone":      {Any(h), Func("a", h)},
		"has no handler":    {Func("a", nil)},
		"is given twice":    {Func("a", h), Func("a", h)},
		"has 0 bytes":       {Func("", h)},
		"has 513 bytes":     {Func(strings.Repeat("a", 513), h)},
		"holds a NUL byte":  {Func("a\x00", h)},
	} {
		if _, err := define(parts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	d, err := define([]Part{Any(h)})
	if err != nil || d.handler("whatever") == nil {
		t.Errorf("any: %v", err)
	}
}

func TestAssignment(t *testing.T) {
	t.Parallel()
	d := mustDefine(t, "a", "b", "c")
	functions := []*workerpb.Function{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	a, err := newAssignment(d, &workerpb.RunRequest{
		Functions: functions, Slots: []*workerpb.Slot{{ClientId: "x"}},
		Servers: []*workerpb.Server{{Address: "web1", Index: 7}}, Verbosity: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	if a.servers["web1:4730"].GetIndex() != 7 || a.slot(0).GetClientId() != "x" || a.slot(1) != nil {
		t.Errorf("%+v", a)
	}
	paused := a.pausing([]string{"a", "c"}, true)
	for _, c := range []struct {
		a    *assignment
		want []string
	}{
		{a, []string{"a", "b", "c"}},
		{paused, []string{"b"}},
		{paused.pausing([]string{"c"}, false), []string{"b", "c"}},
		{paused.pausing([]string{"b"}, true), nil},
	} {
		if got := c.a.offered(); strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("offered %q, want %q", got, c.want)
		}
	}
	next, err := paused.with(d, &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: functions[1:]}})
	if err != nil || strings.Join(next.offered(), " ") != "b" || next.verbosity != 2 || len(next.slots) != 1 {
		t.Errorf("%+v, %v", next, err)
	}
	if strings.Join(a.offered(), " ") != "a b c" {
		t.Error("an assignment has changed")
	}
}

func TestEventQueue(t *testing.T) {
	t.Parallel()
	q := newEventQueue()
	line := &workerpb.Event{Event: &workerpb.Event_Log{Log: &workerpb.Log{Message: "x"}}}
	for range maxQueuedLogs + 5 {
		q.put(line)
	}
	q.put(busyEvent(1))
	<-q.wake
	events, closed := q.take()
	if len(events) != maxQueuedLogs+2 || closed {
		t.Fatalf("%d events, closed %t", len(events), closed)
	}
	if events[maxQueuedLogs].GetBusy().GetSlot() != 1 || !strings.HasPrefix(events[maxQueuedLogs+1].GetLog().GetMessage(), "5 log lines were dropped") {
		t.Errorf("the last are %v", events[maxQueuedLogs:])
	}
	q.put(line)
	q.close()
	q.put(busyEvent(2))
	<-q.wake
	if events, closed := q.take(); len(events) != 1 || !closed {
		t.Errorf("%v, closed %t", events, closed)
	}
}

func TestSuspectList(t *testing.T) {
	t.Parallel()
	id := &workerpb.JobID{Server: "s", Handle: "H:1", Hash: 5}
	l := newSuspectList(nil)
	news := l.news(keyOf(id))
	if l.find(keyOf(id)) != nil {
		t.Error("found what was not there")
	}
	l.change([]*workerpb.SuspectJob{{Job: id, Attempts: 2}}, nil)
	<-news
	if got := l.find(keyOf(id)); got.GetAttempts() != 2 {
		t.Errorf("found %v", got)
	}
	for _, other := range []jobKey{{"t", "H:1", 5}, {"s", "H:2", 5}, {"s", "H:1", 6}} {
		if l.find(other) != nil {
			t.Errorf("found %v", other)
		}
	}
	l.change(nil, []*workerpb.JobID{id})
	if l.find(keyOf(id)) != nil {
		t.Error("found what was taken back")
	}
	l.news(keyOf(id))
	l.forget(keyOf(id))
	if len(l.waiting) != 0 {
		t.Errorf("%d wait", len(l.waiting))
	}
}

// TestCompany has one job in hand, a suspect that waits, and another job behind
// that one.
func TestCompany(t *testing.T) {
	t.Parallel()
	for _, jam := range []bool{false, true} {
		c := newCompany()
		if !c.join(false) {
			t.Fatal("the first job may not run")
		}
		type entry struct{ alone, ok bool }
		entered := make(chan entry, 2)
		go func() { entered <- entry{true, c.join(true)} }()
		for !waits(c) {
		}
		go func() { entered <- entry{false, c.join(false)} }()
		if jam {
			c.jam()
			for range 2 { // the other one may run, once nobody waits to be alone
				if e := <-entered; e.alone && e.ok {
					t.Error("alone beside a job that does not end")
				}
			}
			continue
		}
		c.leave()
		for _, want := range []entry{{true, true}, {false, true}} {
			if got := <-entered; got != want {
				t.Errorf("entered %+v, want %+v", got, want)
			}
			c.leave()
		}
	}
}

func waits(c *company) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting > 0
}

func TestLogHandler(t *testing.T) {
	t.Parallel()
	q := newEventQueue()
	h := &logHandler{events: q, level: new(slog.LevelVar)}
	log := h.forJob("resize", "H:1").With("a", 1).WithGroup("g").With("b", "two")
	log.Debug("too fine")
	log.Warn("hello", "c", slog.GroupValue(slog.Int("d", 4)), slog.Group("", slog.Bool("e", true)))
	h.level.Set(level(4))
	log.Debug("fine enough")
	events, _ := q.take()
	if len(events) != 2 {
		t.Fatalf("%v", events)
	}
	got := events[0].GetLog()
	want := []string{"a", "1", "g.b", "two", "g.c.d", "4", "g.e", "true"}
	if diff := cmp.Diff(want, got.GetAttributes()); diff != "" || got.GetHandle() != "H:1" || got.GetFunction() != "resize" || got.GetLevel() != 4 {
		t.Errorf("%v %s", got, diff)
	}
}
