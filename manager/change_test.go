package manager

import (
	"math"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// aPool is a pool of a kind that performs functions, of two workers with a slot each.
func aPool(kind Kind, functions ...string) *PoolPlan {
	p := &PoolPlan{Name: functions[0], Shared: len(functions) > 1, Kind: kind, Slots: 2, Together: 1, Concurrency: 1, Workers: 2, ReloadBatch: 1}
	for _, name := range functions {
		p.Functions = append(p.Functions, FunctionPlan{
			Name: name, Program: "/w/" + name, Hash: "aaaaaaaaaa" + name, Timeout: 5 * time.Second, OnTimeout: config.Fail, OnCrash: config.Reissue,
		})
	}
	if p.Shared {
		p.Name = "*"
	}
	if kind == KindPlugin || len(functions) == 1 {
		p.Program, p.Hash, p.Version = "/w/"+functions[0], "aaaaaaaaaa"+functions[0], "1.4.0"
	}
	return p
}

// copyOfPlan returns a plan that shares nothing with another.
func copyOfPlan(p *PoolPlan) *PoolPlan {
	out := *p
	out.Functions = slices.Clone(p.Functions)
	out.Interpreter = slices.Clone(p.Interpreter)
	return &out
}

// changeCase is a change of a plan and what is said of it.
type changeCase struct {
	name   string
	pool   *PoolPlan
	before func(*PoolPlan) // makes the plan another before the change
	change func(*PoolPlan)
	live   []string // what running workers can be told
	rolls  []string // because of which they are replaced
}

func TestChanges(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(countChanges(), codeChanges(), limitCases(), jobChanges()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old := copyOfPlan(c.pool)
			if c.before != nil {
				c.before(old)
			}
			next := copyOfPlan(old)
			c.change(next)
			all, rolls := changesOf(old, next), rollReasons(old, next)
			live := slices.DeleteFunc(slices.Clone(all), func(what string) bool { return slices.Contains(rolls, what) })
			if diff := cmp.Diff(c.rolls, rolls); diff != "" {
				t.Errorf("reasons to replace workers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.live, append([]string(nil), live...)); diff != "" {
				t.Errorf("changes that workers are told (-want +got):\n%s", diff)
			}
		})
	}
}

func countChanges() []changeCase {
	slots := func(n, together int) func(*PoolPlan) {
		return func(p *PoolPlan) { p.Slots, p.Together = n, together; p.divide() }
	}
	return []changeCase{
		{name: "nothing", pool: aPool(KindPHP, "a"), change: func(*PoolPlan) {}},
		{name: "count", pool: aPool(KindPHP, "a"), change: slots(6, 1), live: []string{"count 2 → 6"}},
		{name: "count to none", pool: aPool(KindPHP, "a"), change: slots(0, 1), live: []string{"count 2 → 0"}},
		{name: "count of an executable", pool: aPool(KindExec, "a"), before: slots(2, 0), change: slots(6, 0), live: []string{"count 2 → 6"}},
		{name: "count with a worker that is not full", pool: aPool(KindPlugin, "a"), before: slots(6, 4), change: slots(3, 4), live: []string{"count 6 → 3"}},
		{name: "concurrency of several", pool: aPool(KindPlugin, "a"), before: slots(8, 2), change: slots(8, 4), rolls: []string{"concurrency 2 → 4"}},
		{name: "concurrency of one", pool: aPool(KindPlugin, "a"), before: slots(2, 2), change: slots(2, 4), live: []string{"concurrency 2 → 4"}},
		{name: "concurrency of an executable", pool: aPool(KindExec, "a"), before: slots(4, 0), change: slots(4, 2), rolls: []string{"concurrency all → 2"}},
		{name: "concurrency of a plugin", pool: aPool(KindPlugin, "a"), before: slots(4, 0), change: slots(4, 2), rolls: []string{"concurrency 1 → 2"}},
		{name: "concurrency without workers", pool: aPool(KindPlugin, "a"), before: slots(0, 2), change: slots(8, 4), live: []string{"count 0 → 8", "concurrency 2 → 4"}},
		{name: "name", pool: aPool(KindPHP, "a", "b"), change: func(p *PoolPlan) { p.Name = "*php" }, live: []string{"name * → *php"}},
		{name: "place in the config", pool: aPool(KindPHP, "a"), change: func(p *PoolPlan) { p.Origin = "[a] count at config.ini:9" }},
	}
}

func codeChanges() []changeCase {
	newHash := func(p *PoolPlan) {
		if p.Hash != "" {
			p.Hash = "bbbbbbbbbbbbb"
		}
		p.Functions[0].Hash = "bbbbbbbbbbbbb"
	}
	moved := func(p *PoolPlan) { p.Program, p.Functions[0].Program = "/new/a", "/new/a" }
	return []changeCase{
		{name: "php", pool: aPool(KindPHP, "a"), change: newHash, rolls: []string{"new code aaaaaaa → bbbbbbb"}},
		{name: "standalone", pool: aPool(KindStandalone, "a"), change: newHash, rolls: []string{"new code aaaaaaa → bbbbbbb"}},
		{name: "executable", pool: aPool(KindExec, "a"), change: newHash, live: []string{"new code aaaaaaa → bbbbbbb"}},
		{name: "one of several php files", pool: aPool(KindPHP, "a", "b"), change: newHash, rolls: []string{"new code aaaaaaa → bbbbbbb (a)"}},
		{name: "one of several executables", pool: aPool(KindExec, "a", "b"), change: newHash, live: []string{"new code aaaaaaa → bbbbbbb (a)"}},
		{
			name: "plugin with a version", pool: aPool(KindPlugin, "a", "b"), change: func(p *PoolPlan) { p.Hash, p.Version = "bbbbbbbbbbb", "1.5.0" },
			rolls: []string{"new code aaaaaaa → bbbbbbb (1.4.0 → 1.5.0)"},
		},
		{name: "plugin of the same version", pool: aPool(KindPlugin, "a"), change: newHash, rolls: []string{"new code aaaaaaa → bbbbbbb"}},
		{name: "moved plugin", pool: aPool(KindPlugin, "a"), change: moved, rolls: []string{"program /w/a → /new/a"}},
		{
			name: "moved plugin with a private copy", pool: aPool(KindPlugin, "a"), before: func(p *PoolPlan) { p.Run = "/copies/a" },
			change: moved, live: []string{"program /w/a → /new/a"},
		},
		{name: "moved php", pool: aPool(KindPHP, "a"), change: moved, rolls: []string{"program /w/a → /new/a"}},
		{name: "moved executable", pool: aPool(KindExec, "a"), change: moved, live: []string{"program /w/a → /new/a"}},
		{
			name: "arguments of an executable", pool: aPool(KindExec, "a"), before: func(p *PoolPlan) { p.Functions[0].Command = []string{"/w/a", "-l"} },
			change: func(p *PoolPlan) { p.Functions[0].Command = []string{"/w/a", "-l", "a b"} }, live: []string{"command -l → -l 'a b'"},
		},
		{
			name: "arguments of a standalone worker", pool: aPool(KindStandalone, "a"), change: func(p *PoolPlan) { p.Functions[0].Command = []string{"/w/a", "-l"} },
			rolls: []string{"command none → -l"},
		},
		{name: "new function of a plugin", pool: aPool(KindPlugin, "a", "b"), change: addFunctions("c"), rolls: []string{"performs c"}},
		{name: "new php files", pool: aPool(KindPHP, "a", "b"), change: addFunctions("c", "d", "e", "f", "g"), rolls: []string{"performs c, d, e, 2 more"}},
		{name: "new executable", pool: aPool(KindExec, "a", "b"), change: addFunctions("c"), live: []string{"performs c"}},
		{name: "function gone", pool: aPool(KindPHP, "a", "b"), change: func(p *PoolPlan) { p.Functions = p.Functions[1:] }, rolls: []string{"performs no more a"}},
		{name: "executable gone", pool: aPool(KindExec, "a", "b"), change: func(p *PoolPlan) { p.Functions = p.Functions[1:] }, live: []string{"performs no more a"}},
		{
			name: "prefix", pool: aPool(KindPHP, "a"), before: func(p *PoolPlan) { p.Functions[0].Symbol = "x_a" },
			change: func(p *PoolPlan) { p.Functions[0].Symbol = "y_a" }, rolls: []string{"symbol x_a → y_a"},
		},
		{
			name: "interpreter", pool: aPool(KindPHP, "a"), before: func(p *PoolPlan) { p.Interpreter = []string{"php"} },
			change: func(p *PoolPlan) { p.Interpreter, p.Preload = []string{"php8.4", "-n"}, true }, rolls: []string{"php php → php8.4 -n", "php_preload off → on"},
		},
		{name: "private copy", pool: aPool(KindPlugin, "a"), change: func(p *PoolPlan) { p.Run = "/run/programs/a" }},
	}
}

func addFunctions(names ...string) func(*PoolPlan) {
	return func(p *PoolPlan) {
		p.Functions = append(p.Functions, aPool(p.Kind, append(names, "")...).Functions[:len(names)]...)
	}
}

func limitCases() []changeCase {
	hard := func(n int64) func(*PoolPlan) {
		return func(p *PoolPlan) { p.MaxMemoryHard, p.Limits.Data = n, dataLimit(n) }
	}
	return []changeCase{
		{
			name: "kernel", pool: aPool(KindPlugin, "a"), before: func(p *PoolPlan) { p.Limits.NoFile = 100 },
			change: func(p *PoolPlan) {
				p.Limits = supervisor.Limits{NoFile: 200, SetCore: true, Core: math.MaxUint64, Nice: 5, Data: 1 << 30}
				p.KeepGroup = true
			},
			rolls: []string{"rlimit_nofile 100 → 200", "rlimit_core none → unlimited", "nice 0 → 5", "kill_group on → off", "rlimit_data none → 1G"},
		},
		{name: "less memory", pool: aPool(KindPlugin, "a"), before: hard(2 << 30), change: hard(1 << 30), live: []string{"max_memory_hard 2G → 1G"}},
		{name: "some memory", pool: aPool(KindPlugin, "a"), change: hard(1 << 30), live: []string{"max_memory_hard none → 1G"}},
		{name: "more memory", pool: aPool(KindPlugin, "a"), before: hard(1 << 30), change: hard(2 << 30), rolls: []string{"max_memory_hard 1G → 2G"}},
		{name: "any memory", pool: aPool(KindPHP, "a"), before: hard(1 << 30), change: hard(0), rolls: []string{"max_memory_hard 1G → none"}},
		{name: "less memory for executables", pool: aPool(KindExec, "a"), before: hard(2 << 30), change: hard(1 << 30), rolls: []string{"max_memory_hard 2G → 1G"}},
		{
			name: "memory where the kernel's limit is set", pool: aPool(KindPlugin, "a"), before: func(p *PoolPlan) { p.Limits.Data = 3 << 30 },
			change: func(p *PoolPlan) { p.MaxMemoryHard = 2 << 30 }, live: []string{"max_memory_hard none → 2G"},
		},
		{
			name: "life", pool: aPool(KindPHP, "a"),
			change: func(p *PoolPlan) {
				p.MaxRuns, p.MaxLifetime, p.RestartSplay, p.MaxMemory = 100, time.Hour, 90*time.Second, 64<<20
				p.StartSeconds, p.StartRetries, p.StopSignal, p.ReloadBatch = time.Second, 5, syscall.SIGQUIT, 3
			},
			live: []string{
				"max_runs_per_worker none → 100", "max_worker_lifetime none → 1h", "worker_restart_splay none → 1m30s", "max_memory none → 64M",
				"start_seconds none → 1s", "start_retries none → 5", "stop_signal none → QUIT", "reload_batch 1 → 3",
			},
		},
	}
}

func jobChanges() []changeCase {
	all := func(change func(*FunctionPlan)) func(*PoolPlan) {
		return func(p *PoolPlan) {
			for i := range p.Functions {
				change(&p.Functions[i])
			}
		}
	}
	return []changeCase{
		{
			name: "everything about the jobs", pool: aPool(KindPlugin, "a"),
			change: all(func(f *FunctionPlan) {
				f.Timeout, f.Grace, f.OnTimeout, f.OnCrash = 0, 2*time.Second, config.Reissue, config.Fail
				f.JobAttempts, f.Priority, f.Slow = 3, -5, 1500*time.Millisecond
			}),
			live: []string{
				"timeout 5s → none", "on_timeout fail → reissue", "on_crash reissue → fail", "job_attempts none → 3",
				"graceful_shutdown_wait_time 0s → 2s", "priority 0 → -5", "slow none → 1.5s",
			},
		},
		{
			name: "the same for several functions", pool: aPool(KindPHP, "a", "b"), change: all(func(f *FunctionPlan) { f.Timeout = time.Second }),
			live: []string{"timeout 5s → 1s (a, b)"},
		},
		{
			name: "one of several functions", pool: aPool(KindPHP, "a", "b"), change: func(p *PoolPlan) { p.Functions[1].Timeout = time.Second },
			live: []string{"timeout 5s → 1s (b)"},
		},
	}
}

// TestEveryFieldIsCompared changes each field of a plan, so that none is forgotten.
func TestEveryFieldIsCompared(t *testing.T) {
	t.Parallel()
	ignored := map[string]string{
		"PoolPlan.Shared": "the key has it", "PoolPlan.Kind": "the key has it", "PoolPlan.Named": "the key has it",
		"PoolPlan.Run": "follows from Hash", "PoolPlan.Fault": "nothing is done about it", "PoolPlan.Concurrency": "follows from Slots and Together",
		"PoolPlan.Workers": "follows from Slots and Together", "PoolPlan.Origin": "a comment in the config moves it", "PoolPlan.Scaled": "says where Slots is from",
		"Limits.Core": "means nothing without SetCore", "Limits.SetNice": "no plan sets it",
	}
	seen := map[string]bool{}
	check := func(name string, change func(*PoolPlan) reflect.Value) {
		noticed := false
		for _, kind := range []Kind{KindPlugin, KindPHP, KindExec, KindStandalone} {
			for _, functions := range [][]string{{"a"}, {"a", "b"}} {
				old := aPool(kind, functions...)
				next := copyOfPlan(old)
				alter(t, name, change(next))
				noticed = noticed || len(changesOf(old, next)) > 0
			}
		}
		_, ignore := ignored[name]
		seen[name] = true
		if noticed == ignore {
			t.Errorf("%s: a change is noticed: %v, want the contrary", name, noticed)
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[PoolPlan]()) {
		if f.Name != "Functions" && f.Name != "Limits" {
			check("PoolPlan."+f.Name, func(p *PoolPlan) reflect.Value { return reflect.ValueOf(p).Elem().FieldByIndex(f.Index) })
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[FunctionPlan]()) {
		check("FunctionPlan."+f.Name, func(p *PoolPlan) reflect.Value { return reflect.ValueOf(&p.Functions[0]).Elem().FieldByIndex(f.Index) })
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[supervisor.Limits]()) {
		check("Limits."+f.Name, func(p *PoolPlan) reflect.Value { return reflect.ValueOf(&p.Limits).Elem().FieldByIndex(f.Index) })
	}
	for name := range ignored {
		if !seen[name] {
			t.Errorf("there is no field %s", name)
		}
	}
}

// alter gives a field another value.
func alter(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() { //nolint:exhaustive // others are not there
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 7)
	case reflect.Uint64:
		v.SetUint(v.Uint() + 1<<30)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"one", "two"}))
	default:
		t.Fatalf("%s is a %s, which is not compared", name, v.Kind())
	}
}
