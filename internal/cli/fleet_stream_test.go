package cli

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/manager"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func TestScope(t *testing.T) {
	t.Parallel()
	fleet := manager.Snapshot{Pools: []manager.PoolStatus{
		{Name: "*", Functions: []string{"a", "b"}, Workers: []manager.WorkerStatus{{Name: "*/1", PID: 1}, {Name: "*/1", PID: 2}}},
		{Name: "c", Functions: []string{"c"}, Workers: []manager.WorkerStatus{{Name: "c/1", PID: 3}, {Name: "c/2"}}},
	}}
	of := func(function, worker string) scope {
		sc := newScope(fleet, function)
		sc.worker = worker
		return sc
	}
	shared, other := manager.WorkerReady{Worker: "*/1"}, manager.WorkerReady{Worker: "c/1"}
	job := func(function string) manager.Event {
		return manager.WorkerLogged{Worker: "*/1", Log: &workerpb.Log{Function: function}}
	}
	for _, c := range []struct {
		scope scope
		event manager.Event
		want  bool
	}{
		{of("", ""), shared, true},
		{of("", "*/1"), shared, true},
		{of("", "*/1"), other, false},
		{of("", "*/1"), manager.FleetStopped{}, false},
		{of("a", ""), shared, true},
		{of("a", ""), other, false},
		{of("a", ""), job("a"), true},
		{of("a", ""), job("b"), false},
		{of("a", ""), manager.ServerLost{Server: "s:1"}, true},
		{of("c", ""), other, true},
		{of("c", ""), shared, false},
		{of("new", ""), manager.WorkerReady{Worker: "new/1"}, true},
	} {
		if got := c.scope.holds(c.event); got != c.want {
			t.Errorf("%+v and %+v: %v", c.scope, c.event, got)
		}
	}
	for _, c := range []struct {
		scope scope
		want  []string
	}{{of("", ""), []string{"*/1", "c/1", "c/2"}}, {of("b", ""), []string{"*/1"}}, {of("", "c/2"), []string{"c/2"}}, {of("a", "c/2"), nil}} {
		var got []string
		for _, w := range c.scope.workers(fleet) {
			got = append(got, w.Worker)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.scope, got, c.want)
		}
	}
}

func TestPastEvents(t *testing.T) {
	t.Parallel()
	var past []manager.Stamped
	for seq := uint64(10); seq < 14; seq++ {
		past = append(past, manager.Stamped{Seq: seq, At: time.Unix(1, 0), Event: manager.FleetStopped{}})
	}
	for name, c := range map[string]struct {
		query control.EventsQuery
		whole bool
		want  []uint64
	}{
		"all there is":            {control.EventsQuery{}, false, []uint64{10, 11, 12, 13}},
		"after one":               {control.EventsQuery{Since: 9}, true, []uint64{10, 11, 12, 13}},
		"after one, some missing": {control.EventsQuery{Since: 4}, false, []uint64{9, 10, 11, 12, 13}},
		"the last two":            {control.EventsQuery{Last: new(2)}, false, []uint64{12, 13}},
		"none":                    {control.EventsQuery{Last: new(0)}, false, nil},
		"more than there are":     {control.EventsQuery{Last: new(9)}, true, []uint64{10, 11, 12, 13}},
	} {
		var got []uint64
		for _, e := range pastEvents(past, c.query, c.whole) {
			got = append(got, e.Seq)
			if e.Name == control.NameLagged && e.Missed != 5 {
				t.Errorf("%s: %+v", name, e)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestRepeatedLines: a line that a worker printed while its last ones were read is sent
// once, and none is lost.
func TestRepeatedLines(t *testing.T) {
	t.Parallel()
	var events []manager.Stamped
	for i, line := range []string{"c", "d", "d", "e"} {
		events = append(events, manager.Stamped{Seq: uint64(i), Event: manager.WorkerPrinted{Worker: "a/1", Line: line}})
	}
	events = slices.Insert(events, 1, manager.Stamped{Event: manager.WorkerPrinted{Worker: "b/1", Line: "c"}}, manager.Stamped{Event: manager.FleetStopped{}})
	for _, c := range []struct {
		past []string
		want []string
	}{
		{nil, []string{"c", "c", "d", "d", "e"}},
		{[]string{"a", "b"}, []string{"c", "c", "d", "d", "e"}},
		{[]string{"b", "c"}, []string{"c", "d", "d", "e"}},
		{[]string{"b", "c", "d"}, []string{"c", "d", "e"}},
		{[]string{"c", "d", "d", "e"}, []string{"c"}},
	} {
		var got []string
		for _, e := range withoutRepeated(slices.Clone(events), map[string][]string{"a/1": c.past}) {
			if p, ok := e.Event.(manager.WorkerPrinted); ok {
				got = append(got, p.Line)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("after %q: %s", c.past, diff)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event manager.Event
		want  string // stream and text; empty: it is no line
	}{
		{manager.WorkerPrinted{Worker: "a/1", Stream: "stderr", Line: `{"msg":"x"}`}, `stderr {"msg":"x"}`},
		{manager.PHPPrinted{Stream: "stdout", Line: "x"}, "stdout x"},
		{manager.WorkerLogged{Worker: "a/1", Log: &workerpb.Log{Message: "x"}}, "log x"},
		{manager.WorkerLogged{Worker: "a/1", Log: &workerpb.Log{Message: "x", Attributes: []string{"stream", "stderr"}}}, "stderr x"},
		{manager.LinesDropped{Worker: "a/1", Lines: 3}, "lagged lines of a worker dropped"},
		{manager.Lagged{Missed: 3}, "lagged reader of events missed some"},
		{manager.WorkerReady{}, ""},
	} {
		got := ""
		if line, ok := controlLine(manager.Stamped{Event: c.event}); ok {
			got = line.Stream + " " + line.Text
			if line.Stream == control.NameLagged && line.Missed != 3 {
				t.Errorf("%+v", line)
			}
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.event, got, c.want)
		}
	}
}
