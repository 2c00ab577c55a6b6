package manager

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

// planOf makes the plan of a config for programs of each kind.
func planOf(t *testing.T, ini string, programs ...Program) *Plan {
	t.Helper()
	cfg, problems := config.Parse("config.ini", []byte(ini), nil)
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	plan, problems := NewPlan(cfg, programs)
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	return plan
}

// fourKinds has a program of each kind.
func fourKinds() []Program {
	return []Program{
		{Kind: KindPHP, Path: "/w/a.php", Functions: []string{"a"}},
		{Kind: KindExec, Path: "/w/b", Functions: []string{"b"}, Command: []string{"/w/b"}},
		{Kind: KindPlugin, Path: "/w/p", Named: "/current/p", Functions: []string{"c", "d"}},
		{Kind: KindStandalone, Path: "/w/s", Functions: []string{"s"}, Command: []string{"/w/s"}},
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	ini := "[GearmanManager]\ncount = 4\n[b]\ndedicated_count = 3\n[c]\ndedicated_count = 2\nconcurrency = 4\n[p]\nmode = plugin\n"
	for _, c := range []struct {
		pool  string
		slots int
		want  string // slots, concurrency, workers
	}{
		{"b", 8, "8 8 1"},
		{"b", 0, "0 1 0"},
		{"b", -3, "0 1 0"},
		{"b", 1, "1 1 1"},
		{"c", 9, "9 4 3"},
		{"c", 3, "3 3 1"},
		{"c", 0, "0 1 0"},
		{"c", 4, "4 4 1"},
		{"*php", 7, "7 1 7"},
		{"*exec", 7, "7 7 1"},
		{"*p", 7, "7 1 7"},
		{"s", 5, "5 1 5"},
	} {
		plan := planOf(t, ini, fourKinds()...)
		before := planOf(t, ini, fourKinds()...)
		unknown := plan.scale(map[string]int{c.pool: c.slots, "none": 2, "a": 2})
		if diff := cmp.Diff([]string{"a", "none"}, unknown); diff != "" {
			t.Errorf("unknown (-want +got):\n%s", diff)
		}
		for i := range plan.Pools {
			p := &plan.Pools[i]
			if p.Name != c.pool {
				if diff := cmp.Diff(&before.Pools[i], p); diff != "" {
					t.Errorf("%s was changed too:\n%s", p.Name, diff)
				}
				continue
			}
			if got := fmt.Sprint(p.Slots, p.Concurrency, p.Workers); got != c.want || !p.Scaled || p.Origin != "scaled by hand" {
				t.Errorf("%s scaled to %d: %s scaled=%v origin=%q, want %s", c.pool, c.slots, got, p.Scaled, p.Origin, c.want)
			}
			if reasons := rollReasons(&before.Pools[i], p); reasons != nil {
				t.Errorf("%s scaled to %d: workers are replaced: %q", c.pool, c.slots, reasons)
			}
		}
		if err := plan.Table(io.Discard); err != nil {
			t.Error(err)
		}
		if err := plan.LimitsTable(io.Discard); err != nil {
			t.Error(err)
		}
	}
}

// TestScaleAndBack: what the config wants is not lost with fewer slots.
func TestScaleAndBack(t *testing.T) {
	t.Parallel()
	ini := "[GearmanManager]\n[b]\ndedicated_count = 9\nconcurrency = 4\n[c]\ncount = 9\nconcurrency = 4\n"
	want, got := planOf(t, ini, fourKinds()...), planOf(t, ini, fourKinds()...)
	for _, n := range []int{1, 0, 9} {
		got.scale(map[string]int{"b": n, "c": n})
	}
	for i := range got.Pools {
		got.Pools[i].Origin, got.Pools[i].Scaled = want.Pools[i].Origin, false
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestScaleAPoolWithoutFunctions leaves it without workers.
func TestScaleAPoolWithoutFunctions(t *testing.T) {
	t.Parallel()
	plan := planOf(t, "[GearmanManager]\ncount = 2\n[a]\ndedicated_only = 1\ndedicated_count = 1\n", fourKinds()[0])
	plan.scale(map[string]int{"*": 5})
	if p := plan.Pools[0]; p.Name != "*" || p.Slots != 5 || p.Workers != 0 {
		t.Errorf("%+v", p)
	}
}

// TestKey: a pool stays the same one while its name, path or counts change, and is another one with its kind or function.
func TestKey(t *testing.T) {
	t.Parallel()
	kinds := fourKinds()
	old := planOf(t, "[GearmanManager]\ncount = 2\n", kinds[0])
	next := planOf(t, "[GearmanManager]\ncount = 5\n", kinds...)
	if name := old.Pools[0].Name; name != "*" {
		t.Errorf("the only shared pool is %s", name)
	}
	php := slices.IndexFunc(next.Pools, func(p PoolPlan) bool { return p.Name == "*php" })
	if old.Pools[0].key() != next.Pools[php].key() {
		t.Errorf("%v and %v differ", old.Pools[0].key(), next.Pools[php].key())
	}
	keys := map[poolKey]string{}
	for _, p := range next.Pools {
		if other, taken := keys[p.key()]; taken {
			t.Errorf("%s has the key of %s", p.Name, other)
		}
		keys[p.key()] = p.Name
	}
	kinds[2].Path = "/new/p" // behind a symbolic link
	for _, p := range planOf(t, "[GearmanManager]\ncount = 5\n", kinds...).Pools {
		if keys[p.key()] != p.Name {
			t.Errorf("%s is not %s", p.Name, keys[p.key()])
		}
	}
	kinds[0].Kind = KindExec
	for _, p := range planOf(t, "", kinds...).Pools {
		if p.Name == "a" && keys[p.key()] != "" {
			t.Error("a pool of another kind has the same key")
		}
	}
}

// TestPlanOfPrograms: what a look has found out about programs is in the plan.
func TestPlanOfPrograms(t *testing.T) {
	t.Parallel()
	kinds := append(fourKinds(), Program{Kind: KindPHP, Path: "/w/z.php", Functions: []string{"z"}, Hash: "hz", Fault: "z is broken"})
	kinds[0].Hash, kinds[1].Hash, kinds[2].Hash, kinds[2].Run, kinds[0].Fault = "ha", "hb", "hp", "/run/p", "a is broken"
	plan := planOf(t, "[GearmanManager]\ncount = 2\nslow = 3\nreload_batch = 2\n[a]\ndedicated_count = 1\nslow = 1\nreload_batch = 4\n", kinds...)
	pools := map[string]PoolPlan{}
	for _, p := range plan.Pools {
		pools[p.Name] = p
	}
	both := hashOf([]string{"a", "ha", "z", "hz"})
	for _, c := range []struct{ what, want, got string }{
		{"plugin", "hp /run/p /current/p", pools["*p"].Hash + " " + pools["*p"].Run + " " + pools["*p"].Named},
		{"several", both + " a is broken; z is broken", pools["*php"].Hash + " " + pools["*php"].Fault},
		{"one", "ha a is broken", pools["a"].Hash + " " + pools["a"].Fault},
		{"function", "ha hz", pools["*php"].Functions[0].Hash + " " + pools["*php"].Functions[1].Hash},
		{"slow", "1s 3s 0s", fmt.Sprint(pools["a"].Functions[0].Slow, pools["*php"].Functions[1].Slow, pools["s"].Functions[0].Slow)},
		{"batch", "4 2", fmt.Sprint(pools["a"].ReloadBatch, pools["*php"].ReloadBatch)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
	kinds[4].Hash = "other"
	again := planOf(t, "[GearmanManager]\ncount = 2\n", kinds...)
	for _, p := range again.Pools {
		if (p.Hash != pools[p.Name].Hash) != (p.Name == "*php") {
			t.Errorf("%s has the hash %s, and had %s", p.Name, p.Hash, pools[p.Name].Hash)
		}
	}
}
