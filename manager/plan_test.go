package manager_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

var updatePlans = flag.Bool("update", false, "write the golden files instead of comparing with them")

// programsOf reads lines such as "plugin /p/rev reverse,upper" and "exec /bin/wc wc -l", where the words behind the functions are arguments. A kind
// with a ! behind it is a program that is broken.
func programsOf(t *testing.T, lines ...string) []manager.Program {
	t.Helper()
	var programs []manager.Program
	for _, line := range lines {
		words := strings.Fields(line)
		kind, broken := strings.CutSuffix(words[0], "!")
		p := manager.Program{Kind: manager.Kind(kind), Path: words[1], Functions: strings.Split(words[2], ","), Broken: broken}
		if p.Kind == manager.KindExec || p.Kind == manager.KindStandalone {
			p.Command = append([]string{p.Path}, words[3:]...)
		}
		if p.Kind == manager.KindPlugin {
			p.Version = "v1.0.0"
		}
		programs = append(programs, p)
	}
	return programs
}

// planCase is a config with programs, and the pools and problems that come out.
type planCase struct {
	name     string
	ini      string
	programs []string
	// pools are "name kind slots=S concurrency=C workers=W functions (origin)".
	pools    []string
	problems []string
}

// TestNewPlan counts, names and divides pools, and finds what is wrong with the sections.
func TestNewPlan(t *testing.T) {
	t.Parallel()
	for _, c := range append(poolCases(), problemCases()...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, found := config.Parse("dir/config.ini", []byte(c.ini), nil)
			if len(found) > 0 {
				t.Fatalf("config: %v", found)
			}
			plan, found := manager.NewPlan(cfg, programsOf(t, c.programs...))
			var pools, problems []string
			for _, p := range plan.Pools {
				var names []string
				for _, f := range p.Functions {
					names = append(names, f.Name)
				}
				pools = append(pools, fmt.Sprintf("%s %s slots=%d concurrency=%d workers=%d %s (%s)",
					p.Name, p.Kind, p.Slots, p.Concurrency, p.Workers, strings.Join(names, ","), p.Origin))
				if p.Shared != strings.HasPrefix(p.Name, "*") {
					t.Errorf("pool %s: shared %v", p.Name, p.Shared)
				}
			}
			for _, p := range found {
				problems = append(problems, string(p.Severity)+" "+p.String())
			}
			if diff := cmp.Diff(c.pools, pools); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.problems, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// poolCases are about pools; what GearmanManager does with PHP files is tested by its own cases.
func poolCases() []planCase {
	return []planCase{
		{
			name: "nothing said", programs: []string{"php /w/a.php a", "exec /w/b b", "plugin /w/p c,d", "standalone /w/s s"},
			pools: []string{
				"a php slots=1 concurrency=1 workers=1 a (at least one worker)",
				"b exec slots=1 concurrency=1 workers=1 b (at least one worker)",
				"c plugin slots=1 concurrency=1 workers=1 c (at least one worker)",
				"d plugin slots=1 concurrency=1 workers=1 d (at least one worker)",
				"s standalone slots=1 concurrency=1 workers=1 s (at least one worker)",
			},
		},
		{
			name: "a shared pool for each program", ini: "[GearmanManager]\ncount = 4\n",
			programs: []string{"php /w/a.php a", "php /w/b.php b", "exec /w/c c", "exec /w/d d", "plugin /w/p e,f", "plugin /w/q g", "standalone /w/s s"},
			pools: []string{
				"*exec exec slots=4 concurrency=4 workers=1 c,d ([GearmanManager] count at config.ini:2)",
				"*p plugin slots=4 concurrency=1 workers=4 e,f ([GearmanManager] count at config.ini:2)",
				"*php php slots=4 concurrency=1 workers=4 a,b ([GearmanManager] count at config.ini:2)",
				"*q plugin slots=4 concurrency=1 workers=4 g ([GearmanManager] count at config.ini:2)",
				"s standalone slots=1 concurrency=1 workers=1 s (at least one worker)",
			},
		},
		{
			name: "the only shared pool", ini: "[GearmanManager]\ncount = 4\n[a]\ndedicated_only = on\ndedicated_count = 2\n",
			programs: []string{"exec /w/a a", "plugin /w/p e,f"},
			pools: []string{
				"* plugin slots=4 concurrency=1 workers=4 e,f ([GearmanManager] count at config.ini:2)",
				"a exec slots=2 concurrency=2 workers=1 a ([a] dedicated_count at config.ini:5)",
			},
		},
		{
			name: "names of shared pools are unique", ini: "[GearmanManager]\ncount = 1\n",
			programs: []string{"plugin /w/exec a", "plugin /v/rev b", "plugin /w/rev c", "exec /w/d d"},
			pools: []string{
				"*exec exec slots=1 concurrency=1 workers=1 d ([GearmanManager] count at config.ini:2)",
				"*exec-2 plugin slots=1 concurrency=1 workers=1 a ([GearmanManager] count at config.ini:2)",
				"*rev plugin slots=1 concurrency=1 workers=1 b ([GearmanManager] count at config.ini:2)",
				"*rev-2 plugin slots=1 concurrency=1 workers=1 c ([GearmanManager] count at config.ini:2)",
			},
		},
		{
			name: "slots and processes", ini: "[GearmanManager]\nconcurrency = 2\n[a]\ncount = 12\nconcurrency = 4\n[b]\ncount = 10\nconcurrency = 4\n[c]\ncount = 3\nconcurrency = 8\n[d]\ncount = 5\n[e]\ncount = 6\nconcurrency = 3\n",
			programs: []string{"plugin /w/p a,b,c", "plugin /w/q d", "exec /w/e e", "php /w/f.php f"},
			pools: []string{
				"a plugin slots=12 concurrency=4 workers=3 a ([a] count at config.ini:4)",
				"b plugin slots=10 concurrency=4 workers=3 b ([b] count at config.ini:7)",
				"c plugin slots=3 concurrency=3 workers=1 c ([c] count at config.ini:10)",
				"d plugin slots=5 concurrency=2 workers=3 d ([d] count at config.ini:13)",
				"e exec slots=6 concurrency=3 workers=2 e ([e] count at config.ini:15)",
				"f php slots=1 concurrency=1 workers=1 f (at least one worker)",
			},
		},
		{
			name: "where numbers come from", ini: "[GearmanManager]\ncount = 2\ndedicated_count = 3\n[a]\ncount = 9\n[b]\ndedicated_count = 4\n[c]\ncount = 7\ndedicated_count = 1\n[e]\ndedicated_only = on\ndedicated_count = 6\n",
			programs: []string{"plugin /w/p a,b,c,d,e"},
			pools: []string{
				"* plugin slots=2 concurrency=1 workers=2 a,b,c,d ([GearmanManager] count at config.ini:2)",
				"a plugin slots=7 concurrency=1 workers=7 a ([a] count at config.ini:5, less 2 shared)",
				"b plugin slots=4 concurrency=1 workers=4 b ([b] dedicated_count at config.ini:7)",
				"c plugin slots=5 concurrency=1 workers=5 c ([c] count at config.ini:9, less 2 shared)",
				"d plugin slots=3 concurrency=1 workers=3 d ([GearmanManager] dedicated_count at config.ini:3)",
				"e plugin slots=6 concurrency=1 workers=6 e ([e] dedicated_count at config.ini:13)",
			},
		},
		{
			name: "standalone has no part in the shared count", ini: "[GearmanManager]\ncount = 10\n[s]\ncount = 4\n[r]\ndedicated_count = 2\n",
			programs: []string{"standalone /w/s s", "standalone /w/r r"},
			pools: []string{
				"r standalone slots=2 concurrency=1 workers=2 r ([r] dedicated_count at config.ini:6)",
				"s standalone slots=4 concurrency=1 workers=4 s ([s] count at config.ini:4)",
			},
		},
		{
			name: "order of registration", ini: "[GearmanManager]\ncount = 1\n[d]\npriority = 5\n[b]\npriority = -1\n[c]\npriority = 5\n",
			programs: []string{"plugin /w/p a,b,c,d"},
			pools:    []string{"* plugin slots=1 concurrency=1 workers=1 c,d,a,b ([GearmanManager] count at config.ini:2)"},
		},
		{
			name: "include and exclude hold for declared functions", ini: "[GearmanManager]\nexclude = b\n", programs: []string{"plugin /w/p a,b"},
			pools: []string{"a plugin slots=1 concurrency=1 workers=1 a (at least one worker)"},
		},
	}
}

// standaloneText is said of a key in the section of a standalone program that only the program could keep.
const standaloneText = "the value has no effect: only a standalone program itself knows its jobs, want a setting of the program, or max_worker_lifetime or max_memory"

// problemCases are about what is wrong, and what is done all the same.
func problemCases() []planCase {
	a := "a exec slots=1 concurrency=1 workers=1 a (at least one worker)"
	return []planCase{
		{
			name: "no program at all", ini: "[GearmanManager]\nworker_dir = w\n",
			problems: []string{"error dir/config.ini:2: [GearmanManager] worker_dir: no function can be performed, want at least one worker in worker_dir or a command"},
		},
		{
			name: "sections without program", ini: "[a]\n[resise]\n[resize]\ncount = 1\n[gone]\ncommand = no-such-program\n[zzz]\n",
			programs: []string{"exec /w/a a", "exec /w/resize resize"},
			pools:    []string{a, "resize exec slots=1 concurrency=1 workers=1 resize ([resize] count at config.ini:4)"},
			problems: []string{
				"warning dir/config.ini:2: [resise]: no program performs this function (did you mean resize?), want a worker of this name in worker_dir, or a command",
				"warning dir/config.ini:7: [zzz]: no program performs this function, want a worker of this name in worker_dir, or a command",
			},
		},
		{
			name: "an excluded section is no mistake", ini: "[GearmanManager]\nexclude = resize\n[resize]\n", programs: []string{"exec /w/a a"}, pools: []string{a},
		},
		{
			name: "include of nothing", ini: "[GearmanManager]\ninclude = a,resise,resize\n", programs: []string{"exec /w/a a", "exec /w/resize resize"},
			pools:    []string{a, "resize exec slots=1 concurrency=1 workers=1 resize (at least one worker)"},
			problems: []string{"warning dir/config.ini:2: [GearmanManager] include: no program performs the function resise (did you mean resize?), want a worker of this name in worker_dir, or a command"},
		},
		{
			name: "dedicated_only without a number", ini: "[GearmanManager]\ncount = 2\ndedicated_count = 3\n[a]\ndedicated_only = on\ncount = 5\n[b]\ndedicated_only = on\ndedicated_count = 0\n",
			programs: []string{"exec /w/a a", "exec /w/b b", "exec /w/c c"},
			pools: []string{
				"* exec slots=2 concurrency=2 workers=1 c ([GearmanManager] count at config.ini:2)",
				"c exec slots=3 concurrency=3 workers=1 c ([GearmanManager] dedicated_count at config.ini:3)",
			},
			problems: []string{
				"error dir/config.ini:5: [a] dedicated_only: the function is dedicated_only but has no dedicated_count, want dedicated_count = 1 or more in its section",
				"error dir/config.ini:8: [b] dedicated_only: the function is dedicated_only but has no dedicated_count, want dedicated_count = 1 or more in its section",
			},
		},
		{
			name: "limits of a worker for a function that has none", ini: "[GearmanManager]\ncount = 2\n[a]\nmax_runs_per_worker = 5\nmax_worker_lifetime = 5\nworker_restart_splay = 5\nconcurrency = 2\ntimeout = 5\n[b]\ncount = 3\nmax_runs_per_worker = 5\n",
			programs: []string{"plugin /w/p a,b"},
			pools: []string{
				"* plugin slots=2 concurrency=1 workers=2 a,b ([GearmanManager] count at config.ini:2)",
				"b plugin slots=1 concurrency=1 workers=1 b ([b] count at config.ini:10, less 2 shared)",
			},
			problems: []string{
				"warning dir/config.ini:7: [a] concurrency: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
				"warning dir/config.ini:4: [a] max_runs_per_worker: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
				"warning dir/config.ini:5: [a] max_worker_lifetime: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
				"warning dir/config.ini:6: [a] worker_restart_splay: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
			},
		},
		{
			name: "limits of memory that no worker keeps", ini: "[GearmanManager]\nmax_memory = 15M\n[a]\nmax_memory_hard = 16M\nrlimit_data = 100M\n[p]\nmax_memory = 7M\n[s]\nmax_memory = 1M\nrlimit_data = 1M\n",
			programs: []string{"plugin /w/p a,b", "exec /w/c c", "php /w/p.php p", "standalone /w/s s"},
			pools: []string{
				"a plugin slots=1 concurrency=1 workers=1 a (at least one worker)",
				"b plugin slots=1 concurrency=1 workers=1 b (at least one worker)",
				"c exec slots=1 concurrency=1 workers=1 c (at least one worker)",
				"p php slots=1 concurrency=1 workers=1 p (at least one worker)",
				"s standalone slots=1 concurrency=1 workers=1 s (at least one worker)",
			},
			problems: []string{
				"warning dir/config.ini:5: [a] rlimit_data: 100M is less than a plugin worker needs to start, which maps more than it uses, want " + config.FormatSize(128<<20+int64(runtime.NumCPU())<<24) + " or more",
				"warning dir/config.ini:2: [GearmanManager] max_memory: 15M is less than an idle plugin worker has, want 20M or more",
				"warning dir/config.ini:4: [a] max_memory_hard: 16M is less than an idle plugin worker has, want 20M or more",
				"warning dir/config.ini:2: [GearmanManager] max_memory: 15M is less than an idle exec worker has, want 20M or more",
				"warning dir/config.ini:7: [p] max_memory: 7M is less than an idle php worker has, want 8M or more",
			},
		},
		{
			name: "new limits of a function in the shared pool", ini: "[GearmanManager]\ncount = 1\n[a]\nmax_memory = 1G\nnice = 5\nkill_group = off\n", programs: []string{"plugin /w/p a"},
			pools: []string{"* plugin slots=1 concurrency=1 workers=1 a ([GearmanManager] count at config.ini:2)"},
			problems: []string{
				"warning dir/config.ini:4: [a] max_memory: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
				"warning dir/config.ini:5: [a] nice: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
				"warning dir/config.ini:6: [a] kill_group: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
			},
		},
		{
			name: "keys of jobs for a standalone program", ini: "[GearmanManager]\ntimeout = 5\nmax_runs_per_worker = 5\n[s]\ntimeout = 1\non_timeout = reissue\nmax_runs_per_worker = 9\nstop_signal = INT\nmax_memory = 1G\n[a]\nstop_signal = INT\n",
			programs: []string{"standalone /w/s s", "exec /w/a a"},
			pools:    []string{a, "s standalone slots=1 concurrency=1 workers=1 s (at least one worker)"},
			problems: []string{
				"warning dir/config.ini:5: [s] timeout: " + standaloneText,
				"warning dir/config.ini:6: [s] on_timeout: " + standaloneText,
				"warning dir/config.ini:7: [s] max_runs_per_worker: " + standaloneText,
				"warning dir/config.ini:11: [a] stop_signal: the value has no effect: workers of kind exec are not told by a signal, want stop_signal for a standalone program only",
			},
		},
		{
			name: "nothing left for the shared pool", ini: "[GearmanManager]\ncount = 3\n[a]\ndedicated_only = 1\ndedicated_count = 1\n", programs: []string{"exec /w/a a"},
			pools: []string{
				"* exec slots=3 concurrency=3 workers=0  ([GearmanManager] count at config.ini:2)", "a exec slots=1 concurrency=1 workers=1 a ([a] dedicated_count at config.ini:5)",
			},
			problems: []string{"warning dir/config.ini:2: [GearmanManager] count: the shared pool performs nothing and is not started, since every function is dedicated_only, want count = 0 or a function for it"},
		},
		{
			name: "mode of another program", ini: "[a]\nmode = exec\n[b]\nmode = pear\n", programs: []string{"plugin /w/p a", "php /w/b.php b"},
			pools: []string{
				"a plugin slots=1 concurrency=1 workers=1 a (at least one worker)", "b php slots=1 concurrency=1 workers=1 b (at least one worker)",
			},
			problems: []string{"warning dir/config.ini:2: [a] mode: the mode has no effect: /w/p performs the function as plugin, want mode in a section that is named like the program's file"},
		},
		{
			name: "concurrency where there is none", ini: "[GearmanManager]\nconcurrency = 3\n[a]\nconcurrency = 4\ncount = 5\n[s]\nconcurrency = 2\n", programs: []string{"php /w/a.php a", "php /w/b.php b", "standalone /w/s s"},
			pools: []string{
				"a php slots=5 concurrency=1 workers=5 a ([a] count at config.ini:5)",
				"b php slots=1 concurrency=1 workers=1 b (at least one worker)",
				"s standalone slots=1 concurrency=1 workers=1 s (at least one worker)",
			},
			problems: []string{
				"warning dir/config.ini:4: [a] concurrency: a php worker performs one job at a time, want concurrency for a plugin or an executable only",
				"warning dir/config.ini:7: [s] concurrency: " + standaloneText,
			},
		},
		{
			name: "concurrency of shared php", ini: "[GearmanManager]\ncount = 1\n[a]\nconcurrency = 4\nmax_runs_per_worker = 5\n", programs: []string{"php /w/a.php a"},
			pools: []string{"* php slots=1 concurrency=1 workers=1 a ([GearmanManager] count at config.ini:2)"},
			problems: []string{
				"warning dir/config.ini:4: [a] concurrency: a php worker performs one job at a time, want concurrency for a plugin or an executable only",
				"warning dir/config.ini:5: [a] max_runs_per_worker: the value has no effect: only the shared pool performs the function, want it in [GearmanManager], or a dedicated_count",
			},
		},
		{
			name: "broken programs", ini: "[GearmanManager]\ncount = 2\ninclude = a,b,unknown\n[a]\ncount = 4\n[b]\ncount = 5\n[unknown]\ncount = 5\n", programs: []string{"php! /w/a.php a", "php /w/b.php b"},
			pools: []string{"* php slots=2 concurrency=1 workers=2 b ([GearmanManager] count at config.ini:2)", "b php slots=3 concurrency=1 workers=3 b ([b] count at config.ini:7, less 2 shared)"},
			problems: []string{
				"warning dir/config.ini:8: [unknown]: no program performs this function, want a worker of this name in worker_dir, or a command",
				"warning dir/config.ini:3: [GearmanManager] include: no program performs the function unknown, want a worker of this name in worker_dir, or a command",
			},
		},
		{name: "broken programs only", ini: "[GearmanManager]\ncount = 2\n[a]\ncount = 4\n", programs: []string{"php! /w/a.php a"}},
	}
}

// mixed is a fleet with some of everything.
func mixed(t *testing.T) (*config.Config, *manager.Plan, []config.Problem) {
	t.Helper()
	const ini = `[GearmanManager]
count = 10
prefix = job_
timeout = 300
max_runs_per_worker = 1000

[resize]
dedicated_count = 5
timeout = 30
on_timeout = reissue
priority = 3
max_worker_lifetime = 60
worker_restart_splay = 5

[wc]
dedicated_only = on
dedicated_count = 12
command = wc -l
graceful_shutdown_wait_time = 2
job_attempts = 0
on_crash = fail
rlimit_core = unlimited
rlimit_nofile = 4096
max_memory = 100M
nice = 5
kill_group = off
start_retries = 5

[old]
stop_signal = INT
max_memory_hard = 3G
rlimit_data = 2G
rlimit_core = 0

[reverse]
count = 40
concurrency = 4
max_runs_per_worker = 0
slow = 2.5
reload_batch = 3

[nobody]
`
	cfg, found := config.Parse("/etc/gearman-manager/config.ini", []byte(ini), nil)
	plan, problems := manager.NewPlan(cfg, programsOf(t,
		"php /w/resize.php resize", "php /w/send_mail.php send_mail", "exec /usr/bin/wc wc -l", "exec /w/a_script_with_quite_a_long_name.sh a_script_with_quite_a_long_name --and many --more arguments",
		"plugin /w/text reverse,upper,lower,capitalize,transliterate", "standalone /w/old old"))
	return cfg, plan, append(found, problems...)
}

// TestPlanValues looks at what a pool and its functions hold, own and inherited.
func TestPlanValues(t *testing.T) {
	t.Parallel()
	_, plan, _ := mixed(t)
	pools := map[string]manager.PoolPlan{}
	for _, p := range plan.Pools {
		pools[p.Name] = p
	}
	resize := manager.FunctionPlan{
		Name: "resize", Program: "/w/resize.php", Symbol: "job_resize", Timeout: 30 * time.Second, Grace: time.Minute,
		OnTimeout: config.Reissue, OnCrash: config.Reissue, JobAttempts: 3, Priority: 3,
	}
	mail := manager.FunctionPlan{
		Name: "send_mail", Program: "/w/send_mail.php", Symbol: "job_send_mail", Timeout: 300 * time.Second, Grace: time.Minute,
		OnTimeout: config.Fail, OnCrash: config.Reissue, JobAttempts: 3,
	}
	for name, want := range map[string]manager.PoolPlan{
		"resize": {
			Name: "resize", Kind: manager.KindPHP, Program: "/w/resize.php", Functions: []manager.FunctionPlan{resize}, Slots: 5, Together: 1, Concurrency: 1, Workers: 5,
			Interpreter: []string{"php"}, ReloadBatch: 1,
			MaxRuns: 1000, MaxLifetime: time.Minute, RestartSplay: 5 * time.Second, StartSeconds: time.Second, Origin: "[resize] dedicated_count at config.ini:8",
		},
		"*php": {
			Name: "*php", Shared: true, Kind: manager.KindPHP, Functions: []manager.FunctionPlan{resize, mail}, Slots: 10, Together: 1, Concurrency: 1, Workers: 10,
			Interpreter: []string{"php"}, ReloadBatch: 1,
			MaxRuns: 1000, MaxLifetime: time.Hour, RestartSplay: 10 * time.Minute, StartSeconds: time.Second, Origin: "[GearmanManager] count at config.ini:2",
		},
		"wc": {
			Name: "wc", Kind: manager.KindExec, Program: "/usr/bin/wc", Slots: 12, Concurrency: 12, Workers: 1, ReloadBatch: 1, MaxRuns: 1000, MaxLifetime: time.Hour, RestartSplay: 10 * time.Minute, StartSeconds: time.Second,
			Functions: []manager.FunctionPlan{{
				Name: "wc", Program: "/usr/bin/wc", Command: []string{"/usr/bin/wc", "-l"}, Timeout: 300 * time.Second, Grace: 2 * time.Second,
				OnTimeout: config.Fail, OnCrash: config.Fail,
			}},
			MaxMemory: 100 << 20, StartRetries: 5, KeepGroup: true,
			Limits: supervisor.Limits{NoFile: 4096, SetCore: true, Core: math.MaxUint64, Nice: 5},
			Origin: "[wc] dedicated_count at config.ini:17",
		},
	} {
		if diff := cmp.Diff(want, pools[name]); diff != "" {
			t.Errorf("pool %s (-want +got):\n%s", name, diff)
		}
	}
	if p := pools["*text"]; p.Program != "/w/text" || p.Version != "v1.0.0" || p.MaxRuns != 1000 {
		t.Errorf("shared pool of a plugin: %+v", p)
	}
	if p := pools["reverse"]; p.MaxRuns != 0 || p.Workers != 8 {
		t.Errorf("pool reverse: %+v", p)
	}
}

// TestPlanLimits looks at what a pool's workers are held to, own and global.
func TestPlanLimits(t *testing.T) {
	t.Parallel()
	const ini = `[GearmanManager]
count = 2
max_memory = 200M
max_memory_hard = 400M
nice = 3
start_retries = 5
max_runs_per_worker = 10
timeout = 7
[own]
dedicated_only = on
dedicated_count = 1
max_memory = 1G
max_memory_hard = 2G
rlimit_data = 3G
rlimit_nofile = 512
rlimit_core = 0
nice = -1
start_seconds = 0.5
start_retries = 0
kill_group = off
[s]
stop_signal = QUIT
rlimit_core = unlimited
`
	cfg, found := config.Parse("c.ini", []byte(ini), nil)
	plan, problems := manager.NewPlan(cfg, programsOf(t, "plugin /w/p own,shared", "standalone /w/s s"))
	if len(found)+len(problems) > 0 {
		t.Fatal(found, problems)
	}
	got := map[string]manager.PoolPlan{}
	for _, p := range plan.Pools {
		got[p.Name] = manager.PoolPlan{
			MaxMemory: p.MaxMemory, MaxMemoryHard: p.MaxMemoryHard, StartSeconds: p.StartSeconds, StartRetries: p.StartRetries,
			Limits: p.Limits, KeepGroup: p.KeepGroup, StopSignal: p.StopSignal, MaxRuns: p.MaxRuns,
		}
		if timeout := p.Functions[0].Timeout; (timeout == 0) != (p.Kind == manager.KindStandalone) {
			t.Errorf("timeout of %s is %s", p.Name, timeout)
		}
	}
	data := uint64(600<<20 + 256<<20 + runtime.NumCPU()<<24)
	want := map[string]manager.PoolPlan{
		"*": {
			MaxMemory: 200 << 20, MaxMemoryHard: 400 << 20, StartSeconds: time.Second, StartRetries: 5, MaxRuns: 10,
			Limits: supervisor.Limits{Data: data, Nice: 3},
		},
		"own": {
			MaxMemory: 1 << 30, MaxMemoryHard: 2 << 30, StartSeconds: 500 * time.Millisecond, KeepGroup: true, MaxRuns: 10,
			Limits: supervisor.Limits{NoFile: 512, Data: 3 << 30, SetCore: true, Nice: -1},
		},
		"s": {
			MaxMemory: 200 << 20, MaxMemoryHard: 400 << 20, StartSeconds: time.Second, StartRetries: 5, StopSignal: syscall.SIGQUIT,
			Limits: supervisor.Limits{Data: data, SetCore: true, Core: math.MaxUint64, Nice: 3},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

// TestPlanIsItsOwn changes a plan and makes another one of the same programs.
func TestPlanIsItsOwn(t *testing.T) {
	t.Parallel()
	cfg, _ := config.Parse("config.ini", []byte("[GearmanManager]\ncount = 1\n[wc]\ncount = 2\n"), nil)
	programs := programsOf(t, "exec /usr/bin/wc wc -l")
	first, _ := manager.NewPlan(cfg, programs)
	for _, pool := range first.Pools {
		pool.Functions[0].Command[1] = "changed"
	}
	second, _ := manager.NewPlan(cfg, programs)
	for _, pool := range second.Pools {
		if got := pool.Functions[0].Command[1]; got != "-l" {
			t.Errorf("pool %s: argument %q", pool.Name, got)
		}
	}
}

// TestTable compares the table for people with a golden file, and its width with a wide terminal's.
func TestTable(t *testing.T) {
	t.Parallel()
	_, plan, _ := mixed(t)
	var b strings.Builder
	if err := plan.Table(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 121 { // with its end
			t.Errorf("line of %d columns: %s", len(line)-1, line)
		}
	}
	b.WriteByte('\n')
	if err := plan.LimitsTable(&b); err != nil {
		t.Fatal(err)
	}
	goldenPlan(t, "testdata/plan/table.txt", b.String())
}

// TestTableSaysWhenItCannotBeWritten keeps the error of the writer.
func TestTableSaysWhenItCannotBeWritten(t *testing.T) {
	t.Parallel()
	_, plan, _ := mixed(t)
	for _, write := range []func(io.Writer) error{plan.Table, plan.LimitsTable} {
		if err := write(fullDisk{}); !errors.Is(err, errFull) {
			t.Errorf("error %v, want that of the writer", err)
		}
	}
}

var errFull = errors.New("disk full")

// fullDisk is a writer that takes nothing.
type fullDisk struct{}

// Write implements io.Writer.
func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// TestCheckReport compares the JSON with a golden file.
func TestCheckReport(t *testing.T) {
	t.Parallel()
	cfg, plan, problems := mixed(t)
	text, err := json.MarshalIndent(manager.NewCheckReport(cfg, plan, problems), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	goldenPlan(t, "testdata/plan/report.json", string(text)+"\n")
}

// TestCheckReportOfNothing has lists, where there is nothing to list.
func TestCheckReportOfNothing(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(manager.NewCheckReport(nil, nil, nil))
	if err != nil || string(text) != `{"pools":[],"problems":[],"migration":[]}` {
		t.Errorf("report %s, %v", text, err)
	}
}

// goldenPlan compares text with a file, or writes the file with -update.
func goldenPlan(t *testing.T, path, text string) {
	t.Helper()
	if *updatePlans {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s differs (-golden +now; go test -update writes it):\n%s", path, diff)
	}
}
