package config_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gearman-manager/gearman-manager/config"
)

// parse reads a text that has no problems.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, problems := config.Parse("config.ini", []byte(text), nil)
	if config.HasErrors(problems) {
		t.Fatalf("problems: %v", problems)
	}
	return cfg
}

// everything is a view of a config as plain data.
type everything struct {
	WorkerDirs, Include, Exclude, Hosts, Sections     []string
	Prefix, StateDir, RuntimeDir, LogFile, PidFile, U string
	PHP                                               string
	PHPArgs                                           []string
	PHPPreload                                        bool
	Count, DedicatedCount, Verbose                    int
	MaxJobSize                                        int64
	InitialSpawnSplay                                 time.Duration
	Daemon, AutoUpdate, ReloadConfig                  bool
	Command                                           []string
	Mode, OnTimeout, OnCrash                          string
	OwnCount, OwnDedicated, Priority, Slots           int
	JobAttempts, MaxRuns                              int
	DedicatedOnly                                     bool
	Timeout, Grace, MaxLifetime, RestartSplay         time.Duration
}

// view calls every accessor, those of a function for resize.
func view(c *config.Config) everything {
	f := c.Function("resize")
	return everything{
		c.WorkerDirs(), c.Include(), c.Exclude(), c.Hosts(), c.Sections(),
		c.Prefix(), c.StateDir(), c.RuntimeDir(), c.LogFile(), c.PidFile(), c.User(),
		c.PHP(), c.PHPArgs(), c.PHPPreload(),
		c.Count(), c.DedicatedCount(), c.Verbose(), c.MaxJobSize(), c.InitialSpawnSplay(),
		c.Daemon(), c.AutoUpdate(), c.ReloadConfig(),
		f.Command(), f.Mode(), f.OnTimeout(), f.OnCrash(),
		f.Count(), f.DedicatedCount(), f.Priority(), f.Concurrency(), f.JobAttempts(), f.MaxRuns(),
		f.DedicatedOnly(), f.Timeout(), f.Grace(), f.MaxLifetime(), f.RestartSplay(),
	}
}

// defaults is what holds when nothing is said.
func defaults(t *testing.T) everything {
	t.Helper()
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return everything{
		WorkerDirs: []string{filepath.Join(cwd, "workers")}, Hosts: []string{"127.0.0.1:4730"},
		PHP: "php", MaxJobSize: 64 << 20, ReloadConfig: true, OnTimeout: config.Fail, OnCrash: config.Reissue, JobAttempts: 3,
		Grace: time.Minute, MaxLifetime: time.Hour, RestartSplay: 10 * time.Minute,
	}
}

// TestDefaults shows what holds when nothing is said: GearmanManager's defaults, without its pause between starts.
func TestDefaults(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(defaults(t), view(parse(t, "")), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestEveryKey sets every key of the table.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `
[GearmanManager]
worker_dir = /a/./b,/c
include = resize, thumb
exclude = thumb
prefix = job_
count = 10
dedicated_count = 2
concurrency = 4
timeout = 300
on_timeout = reissue
on_crash = fail
job_attempts = 0
max_job_size = 2k
graceful_shutdown_wait_time = 1.5
max_runs_per_worker = 100
max_worker_lifetime = 0
worker_restart_splay = 0
worker_initial_spawn_splay = 500000
auto_update = 1
reload_config = no
php = /usr/bin/php8.2
php_args = -d memory_limit=256M -d 'error_log=/a b'
php_preload = on
host = one,two:4731,::1,[fe80::1]:4732
state_dir = /var/lib/m/
runtime_dir = /run/m
verbose = 3
log_file = syslog
pid_file = /run/m.pid
user = nobody
daemon = yes
file = config.ini

[resize]
command = sh -c 'exec convert "$@"; true' - a\ b
mode = STANDALONE
count = 5
dedicated_count = 6
dedicated_only = TRUE
priority = -3
`)
	want := everything{
		WorkerDirs: []string{"/a/b", "/c"}, Include: []string{"resize", "thumb"}, Exclude: []string{"thumb"},
		Hosts:    []string{"one:4730", "two:4731", "[::1]:4730", "[fe80::1]:4732"},
		Sections: []string{"resize"}, Prefix: "job_", StateDir: "/var/lib/m", RuntimeDir: "/run/m", LogFile: "syslog", PidFile: "/run/m.pid", U: "nobody",
		Count: 10, DedicatedCount: 2, Verbose: 3, MaxJobSize: 2048, InitialSpawnSplay: 500 * time.Millisecond,
		Daemon: true, AutoUpdate: true,
		PHP: "/usr/bin/php8.2", PHPArgs: []string{"-d", "memory_limit=256M", "-d", "error_log=/a b"}, PHPPreload: true,
		Command: []string{"sh", "-c", `exec convert "$@"; true`, "-", "a b"}, Mode: "standalone", OnTimeout: config.Reissue, OnCrash: config.Fail,
		OwnCount: 5, OwnDedicated: 6, Priority: -3, Slots: 4, MaxRuns: 100, DedicatedOnly: true,
		Timeout: 300 * time.Second, Grace: 1500 * time.Millisecond,
	}
	if diff := cmp.Diff(want, view(cfg), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestEmptyIsNotSet gives every key of the global section an empty value, bare, quoted, or as PHP's word for nothing.
func TestEmptyIsNotSet(t *testing.T) {
	t.Parallel()
	for _, empty := range []string{"", `""`, "null", "; 5", `''`} {
		text := "[GearmanManager]\n"
		for _, k := range config.Keys() {
			if k.Where != config.PerFunction {
				text += k.Name + " = " + empty + "\n"
			}
		}
		if diff := cmp.Diff(defaults(t), view(parse(t, text)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", empty, diff)
		}
	}
}

// TestOff shows that a bare off is a value where 0 is one: it overrides a default and an inherited value.
func TestOff(t *testing.T) {
	t.Parallel()
	for _, off := range []string{"off", "no", "None", "false", "0"} {
		cfg := parse(t, "[GearmanManager]\nmax_worker_lifetime = "+off+"\nreload_config = "+off+"\ntimeout = 5\n[resize]\ntimeout = "+off+"\npriority = "+off+"\n")
		f := cfg.Function("resize")
		if f.MaxLifetime() != 0 || cfg.ReloadConfig() || f.Timeout() != 0 || f.Priority() != 0 {
			t.Errorf("%s: lifetime %v, reload %v, timeout %v", off, f.MaxLifetime(), cfg.ReloadConfig(), f.Timeout())
		}
	}
}

// TestFunctionFallsBack compares a function's own values with those it inherits, and where each is said to come from.
func TestFunctionFallsBack(t *testing.T) {
	t.Parallel()
	cfg := parse(t, "[GearmanManager]\ntimeout = 5\ncount = 10\n\n[resize]\ntimeout = 7\n\n[thumb]\n")
	for _, c := range []struct {
		function string
		timeout  time.Duration
		origin   string
		own      bool
	}{
		{"resize", 7 * time.Second, "[resize] timeout at config.ini:6", true},
		{"thumb", 5 * time.Second, "[GearmanManager] timeout at config.ini:2", false},
		{"unheard_of", 5 * time.Second, "[GearmanManager] timeout at config.ini:2", false},
	} {
		f := cfg.Function(c.function)
		if f.Timeout() != c.timeout || f.Origin("timeout").String() != c.origin || f.IsOwn("timeout") != c.own {
			t.Errorf("%s: timeout %v from %q, own %v", c.function, f.Timeout(), f.Origin("timeout"), f.IsOwn("timeout"))
		}
		if f.Count() != 0 {
			t.Errorf("%s: count %d, want 0: the count of all functions means something else", c.function, f.Count())
		}
	}
	if f := cfg.Function("thumb"); !f.HasSection() || cfg.Function("unheard_of").HasSection() || cfg.SectionLine("thumb") != 8 {
		t.Errorf("sections: %v, thumb in line %d", cfg.Sections(), cfg.SectionLine("thumb"))
	}
	if got := cfg.Function("thumb").Origin("on_crash"); !got.IsDefault() || got.String() != "default" {
		t.Errorf("origin of a default: %q", got)
	}
}

// TestCommand compares how the quotes of a command line are read.
func TestCommand(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		`wc -l`:                      {"wc", "-l"},
		`wc -l ; lines`:              {"wc", "-l"},
		`"wc -l"`:                    {"wc", "-l"},
		`'wc -l'`:                    {"wc", "-l"},
		`sh -c "exit 3"`:             {"sh", "-c", "exit 3"},
		`sh -c 'sleep 1; cat' ; ok`:  {"sh", "-c", "sleep 1; cat"},
		`"sh -c 'sleep 1; cat'"`:     {"sh", "-c", "sleep 1; cat"},
		`'sh' '-c' 'a | b & c'`:      {"sh", "-c", "a | b & c"},
		`find . ( -name x )`:         {"find", ".", "(", "-name", "x", ")"},
		`env A=b prog --x=y`:         {"env", "A=b", "prog", "--x=y"},
		`sh -c "echo \"a b\""`:       {"sh", "-c", `echo "a b"`},
		`a\;b c\ d`:                  {"a;b", "c d"},
		`true`:                       {"true"},
		`yes`:                        {"yes"},
		`sh -c 'echo $HOME ${HOME}'`: {"sh", "-c", "echo $HOME ${HOME}"},
		"'a\nb'":                     {"a", "b"},
		"sh -c 'a\nb' x":             {"sh", "-c", "a\nb", "x"},
	} {
		cfg, problems := config.Parse("config.ini", []byte("[resize]\ncommand = "+value+"\ncount = 2\n"), nil)
		if diff := cmp.Diff(want, cfg.Function("resize").Command()); diff != "" || len(problems) != 0 || cfg.Function("resize").Count() != 2 {
			t.Errorf("command = %s: problems %v (-want +got)\n%s", value, problems, diff)
		}
	}
}

// TestIncluded compares the filter of functions.
func TestIncluded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want bool
	}{
		{"", true},
		{"include = *", true},
		{"include = other", false},
		{"include = other,resize", true},
		{"include[] = other\ninclude[] = resize", true},
		{"exclude = other", true},
		{"exclude = resize", false},
		{"include = resize\nexclude = resize", false},
	} {
		if got := parse(t, "[GearmanManager]\n"+c.text).Included("resize"); got != c.want {
			t.Errorf("%q: included %v", c.text, got)
		}
	}
}

// TestConfigIsImmutable changes everything that accessors return, from several goroutines.
func TestConfigIsImmutable(t *testing.T) {
	t.Parallel()
	const text = "[GearmanManager]\nworker_dir = /a\ninclude = resize\nexclude = thumb\nhost = h\n[resize]\ncommand = wc -l\n"
	cfg, untouched := parse(t, text), parse(t, text)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got := view(cfg)
			for _, list := range [][]string{got.WorkerDirs, got.Include, got.Exclude, got.Hosts, got.Sections, got.Command} {
				for i := range list {
					list[i] = "changed"
				}
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff(view(untouched), view(cfg)); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
}

// TestCheckFunctionName tries the bounds.
func TestCheckFunctionName(t *testing.T) {
	t.Parallel()
	long := string(make([]byte, 0, 512))
	for len(long) < 512 {
		long += "x"
	}
	for _, good := range []string{"a", "resize", "Größe", "a/b", "a-b.c", long} {
		if err := config.CheckFunctionName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a b", "a\tb", "a\nb", "a\x00b", "\x7f", " a", long + "x"} {
		if err := config.CheckFunctionName(bad); err == nil {
			t.Errorf("%q is allowed", bad)
		}
	}
}

// TestNearest tries slips of the finger, and words that are no slips.
func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"timeout", "count", "host", "include"}
	for word, want := range map[string]string{
		"timeot": "timeout", "tiemout": "timeout", "counts": "count", "hots": "host", "soht": "", "ohst": "host", "hos": "host", "hosts": "host", "xyzzy": "", "": "", "inclued": "include",
	} {
		if got := config.Nearest(word, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}
