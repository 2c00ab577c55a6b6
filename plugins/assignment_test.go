package plugins

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func mustAssign(t *testing.T, d *definition) *assignment {
	t.Helper()
	a, err := newAssignment(d, &workerpb.RunRequest{
		Servers:   []*workerpb.Server{{Address: "one", Index: 1}, {Address: "two", Index: 2}},
		Functions: []*workerpb.Function{{Name: "a", Index: 1, TimeoutMs: 7}, {Name: "b", Index: 2}},
		Slots:     []*workerpb.Slot{{Record: 4}, {Record: 5}, {Record: 6}},
		Paused:    []string{"b", "c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestFormerAssignment still knows a server, a function and a slot that are not wanted
// any more, for a job that a slot gets when it leaves them.
func TestFormerAssignment(t *testing.T) {
	t.Parallel()
	d := mustDefine(t, "a", "b", "c")
	first := mustAssign(t, d)
	next, err := first.with(d, &workerpb.Settings{
		Servers:   &workerpb.ServerList{Servers: []*workerpb.Server{{Address: "two", Index: 2}, {Address: "three", Index: 3}}},
		Functions: &workerpb.FunctionList{Functions: []*workerpb.Function{{Name: "c", Index: 3}, {Name: "b", Index: 2}}},
		Slots:     &workerpb.SlotList{Slots: []*workerpb.Slot{{Record: 4}, {Record: 7}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]uint32{"one:4730": 1, "two:4730": 2, "three:4730": 3} {
		if got := next.servers[addr].GetIndex(); got != want {
			t.Errorf("server %s has number %d, want %d", addr, got, want)
		}
	}
	for name, want := range map[string]uint32{"a": 1, "b": 2, "c": 3} {
		if got := next.functions[name].GetIndex(); got != want {
			t.Errorf("function %s has number %d, want %d", name, got, want)
		}
	}
	if f := next.functions["a"]; f.GetTimeoutMs() != 7 {
		t.Errorf("the former function is %v", f)
	}
	var records []uint32
	for n := range 4 {
		records = append(records, next.slot(n).GetRecord())
	}
	if diff := cmp.Diff([]uint32{4, 7, 6, 0}, records); diff != "" || next.want != 2 || next.slot(3) != nil {
		t.Errorf("records of %d slots: %s", next.want, diff)
	}
	if diff := cmp.Diff([]string{"two:4730", "three:4730"}, next.addresses); diff != "" {
		t.Error(diff)
	}
	if got := next.offered(); len(got) != 0 {
		t.Errorf("offered %q, want none: b and c are paused", got)
	}
	if diff := cmp.Diff([]string{"c"}, next.pausing([]string{"c"}, false).offered()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a"}, first.offered()); diff != "" {
		t.Errorf("the first assignment has changed: %s", diff)
	}
	if diff := cmp.Diff([]string{"one:4730", "two:4730"}, first.addresses); diff != "" || len(first.functions) != 2 || first.want != 3 {
		t.Errorf("the first assignment has changed: %s", diff)
	}
}

// TestSetOfBadNames is refused before anything has been changed.
func TestSetOfBadNames(t *testing.T) {
	t.Parallel()
	d := &definition{any: mustDefine(t, "a").handlers["a"]}
	a := mustAssign(t, d)
	for want, name := range map[string]string{"has 0 bytes": "", "has 513 bytes": strings.Repeat("x", 513), "holds a NUL byte": "a\x00"} {
		_, err := a.with(d, &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: []*workerpb.Function{{Name: name}}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}
