package phpconfig_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup returns a directory that nobody else may write to and what reads files
// there. There is one supervisor at a time, so these tests are not parallel.
func setup(t *testing.T) (dir string, cfg phpconfig.Config) {
	t.Helper()
	testutil.Need(t, "php", "php-cli")
	sup, err := supervisor.New(supervisor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sup.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return t.TempDir(), phpconfig.Config{Supervisor: sup, Env: os.Environ()}
}

// write makes a file.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines are the problems, with DIR for the directory.
func lines(dir string, problems []config.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s: %s\n", p.Severity, p)
	}
	return strings.ReplaceAll(b.String(), dir, "DIR")
}

func TestLoad(t *testing.T) {
	dir, cfg := setup(t)
	write(t, dir, "common.php", `<?php return ['count' => 4];`)
	path := write(t, dir, "config.php", `<?php
namespace Our\Config;
$here = __DIR__;
$common = include $here . '/common.php';
function seconds() { return 0.1; }
const HOSTS = ['a', 'b:1'];
$gearman_config = [
    'GearmanManager' => $common + [
        'worker_dir' => ["$here/one, two", "$here/three"],
        'include' => '*', 'exclude' => [], 'host' => HOSTS, 'user' => null, 'prefix' => "J\xc3\xb6b_\\",
        'max_worker_lifetime' => false, 'worker_restart_splay' => 0,
    ],
    'resize' => ['dedicated_only' => true, 'dedicated_count' => '5', 'timeout' => seconds(), 'priority' => -3],
    'plain' => [],
    7 => ['count' => 2],
];
`)
	loaded, problems := phpconfig.Load(t.Context(), cfg, path, config.Overrides{{Flag: "-D", Key: "count", Value: "9"}})
	if loaded == nil || len(problems) > 0 {
		t.Fatalf("problems:\n%s", lines(dir, problems))
	}
	resize, all := loaded.Function("resize"), loaded.Defaults()
	got := []any{
		loaded.Count(), loaded.WorkerDirs(), loaded.Include(), loaded.Exclude(), loaded.Hosts(), loaded.User(), loaded.Prefix(),
		all.MaxLifetime(), all.RestartSplay(), resize.DedicatedOnly(), resize.DedicatedCount(), resize.Timeout(), resize.Priority(),
		loaded.Sections(), loaded.Function("7").Count(), loaded.File(),
	}
	want := []any{
		9,
		[]string{dir + "/one, two", dir + "/three"},
		[]string(nil), []string(nil),
		[]string{"a:4730", "b:1"},
		"", "Jöb_\\",
		time.Duration(0), time.Duration(0), true, 5, 100 * time.Millisecond, -3,
		[]string{"resize", "plain", "7"},
		2, path,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// tried is what PHP says of its own allocator.
var tried = regexp.MustCompile(` \(tried to allocate \d+ bytes\)`)

// TestLoadProblems compares all that is said about a file, mostly of one line.
func TestLoadProblems(t *testing.T) {
	dir, cfg := setup(t)
	for name, c := range map[string]struct{ file, want string }{
		"syntax":   {"<?php\n$gearman_config = [\n'a' => ;\n", "error: DIR/config.php:3: syntax error, unexpected token \";\"\n"},
		"included": {"<?php\n\nrequire __DIR__ . '/broken.php';", "error: DIR/broken.php:2: Unmatched '}' (while DIR/config.php was read)\n"},
		"throws":   {"<?php\n\nthrow new RuntimeException(\"no\\nway\\x00\");", "error: DIR/config.php:3: the file throws RuntimeException: no way\n"},
		"fatal":    {"<?php\nfunction f() {}\nfunction f() {}", "error: DIR/config.php:3: Cannot redeclare f() (previously declared in DIR/config.php:2)\n"},
		"memory":   {"<?php\nini_set('memory_limit', '2M'); $x = str_repeat('x', 9000000);", "error: DIR/config.php:2: Allowed memory size of 2097152 bytes exhausted\n"},
		"constant": {"<?php\n$gearman_config = ['GearmanManager' => ['count' => WORKERS]];", "error: DIR/config.php:2: the file throws Error: Undefined constant \"WORKERS\"\n"},
		"exits":    {"<?php $gearman_config = []; exit('bye');", "warning: DIR/config.php: the file prints \"bye\", which nobody sees, want one that prints nothing\nerror: DIR/config.php: the file ends the program that reads it, want one that only sets $gearman_config\n"},
		"nothing":  {"<?php return ['GearmanManager' => []];", "error: DIR/config.php: the file does not set $gearman_config, want $gearman_config = ['GearmanManager' => [...], 'function' => [...]]\n"},
		"no php":   {"[GearmanManager]\ncount = 1\n", "warning: DIR/config.php: the file prints \"[GearmanManager]\\ncount = 1\", which nobody sees, want one that prints nothing\nerror: DIR/config.php: the file does not set $gearman_config, want $gearman_config = ['GearmanManager' => [...], 'function' => [...]]\n"},
		"text":     {"<?php $gearman_config = 'x';", "error: DIR/config.php: $gearman_config is a text or a number, want $gearman_config = ['GearmanManager' => [...], 'function' => [...]]\n"},
		"null":     {"<?php $gearman_config = null;", "error: DIR/config.php: $gearman_config is null, want $gearman_config = ['GearmanManager' => [...], 'function' => [...]]\n"},
		"flat": {
			"<?php $gearman_config = ['count' => 5, '' => [], 'x' => new ArrayObject];",
			"error: DIR/config.php: [count]: the section is a text or a number, want 'count' => [...]; keys of the manager stand in 'GearmanManager' => [...]\n" +
				"error: DIR/config.php: a section of $gearman_config has no name, want 'function' => [...] or 'GearmanManager' => [...]\n" +
				"error: DIR/config.php: [x]: the section is of the type ArrayObject, want 'x' => [...]; keys of the manager stand in 'GearmanManager' => [...]\n",
		},
		"values": {
			"<?php $gearman_config = ['GearmanManager' => ['count' => [1], 'host' => [['a']], 'prefix' => STDIN, 'daemon' => fn() => 1, 'x y' => 1], 'f' => ['timeout' => 'soon']];",
			"warning: DIR/config.php: [GearmanManager] x y: the key is unknown and has no effect, want a key of the reference\n" +
				"error: DIR/config.php: [GearmanManager] count: the value is a list, want count = one value\n" +
				"error: DIR/config.php: [GearmanManager] host: an entry of the list is an array, want texts\n" +
				"error: DIR/config.php: [GearmanManager] prefix: the value is of the type resource, want a text, a number, true, false, null or a list of them\n" +
				"error: DIR/config.php: [GearmanManager] daemon: the value is of the type Closure, want a text, a number, true, false, null or a list of them\n" +
				"error: DIR/config.php: [f] timeout: \"soon\" is no number, want seconds, such as 30\n",
		},
		"recursive": {
			"<?php $gearman_config = []; $gearman_config['f'] = &$gearman_config;",
			"warning: DIR/config.php: [f] f: the key is unknown and has no effect, want a key of the reference\n",
		},
		"warnings": {
			"<?php\n@include 'none.php';\n$gearman_config = ['f' => ['count' => $none]];\necho '{\"set\":true}';",
			"warning: DIR/config.php:3: PHP warns: Undefined variable $none\n" +
				"warning: DIR/config.php: the file prints \"{\\\"set\\\":true}\", which nobody sees, want one that prints nothing\n",
		},
		"its own handlers": {
			"\n<?php ob_start(); set_error_handler(fn() => exit(3)); register_shutdown_function(fn() => print('x'));\n" +
				"fwrite(STDERR, 'noise'); fclose(STDOUT); function main() {} $out = $answer = $done = $value = 1; $gearman_config = ['f' => []];", "",
		},
		"killed": {"<?php fwrite(STDERR, 'oops'); posix_kill(getmypid(), 9);", "error: DIR/config.php: PHP killed by SIGKILL before it told what the file sets, and said: oops\n"},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, dir, "broken.php", "<?php\n}")
			path := write(t, dir, "config.php", c.file)
			loaded, problems := phpconfig.Load(t.Context(), cfg, path, nil)
			got := lines(dir, problems)
			if i, j := strings.Index(got, "PHP killed"), strings.Index(got, "/php killed"); i < 0 && j >= 0 {
				got = "error: DIR/config.php: PHP" + got[j+len("/php"):]
			}
			got = tried.ReplaceAllString(got, "")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if (loaded == nil) != (len(problems) > 0 && strings.Contains(c.want, "error") && name != "flat" && name != "values") {
				t.Errorf("config %v", loaded)
			}
		})
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir, cfg := setup(t)
	fine := write(t, dir, "config.php", "<?php $gearman_config = ['f' => []];")
	open := write(t, dir, "open.php", "<?php touch(__DIR__ . '/it-was-run');")
	if err := os.Chmod(open, 0o602); err != nil {
		t.Fatal(err)
	}
	missing := cfg
	missing.PHP = "php0.1"
	for want, c := range map[string]struct {
		cfg  phpconfig.Config
		path string
	}{
		"there is no such config file":                                         {cfg, filepath.Join(dir, "none.php")},
		"this is no regular file":                                              {cfg, dir},
		"others may write to " + open + ", so " + open + " is not run":         {cfg, open},
		"but php0.1 is not on the PATH, want PHP's command line installed, or": {missing, fine},
	} {
		loaded, problems := phpconfig.Load(t.Context(), c.cfg, c.path, nil)
		if got := lines("\x00", problems); loaded != nil || len(problems) != 1 || !strings.Contains(got, want) || !strings.HasPrefix(got, "error: "+c.path+": ") {
			t.Errorf("%s: %s, want %q", c.path, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "it-was-run")); err == nil {
		t.Error("a file that others may write to was run")
	}
}

// TestLoadEnds: a file that does not end is ended, with what it has started.
func TestLoadEnds(t *testing.T) {
	dir, cfg := setup(t)
	path := write(t, dir, "config.php", "<?php shell_exec('sleep 600');")
	cfg.Timeout = 200 * time.Millisecond
	_, problems := phpconfig.Load(t.Context(), cfg, path, nil)
	if got := lines(dir, problems); got != "error: DIR/config.php: the file was ended after 200ms, want one that only sets $gearman_config\n" {
		t.Error(got)
	}
	cfg.Timeout = 0
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, problems = phpconfig.Load(ctx, cfg, path, nil)
	if got := lines(dir, problems); got != "error: DIR/config.php: the file was not read to its end: enough\n" {
		t.Error(got)
	}
}

// TestLoadLeavesDescendants: what a file leaves running does not keep it from being read.
func TestLoadLeavesDescendants(t *testing.T) {
	dir, cfg := setup(t)
	path := write(t, dir, "config.php", "<?php exec('setsid sleep 5 > /dev/null &'); $gearman_config = ['f' => []];")
	began := time.Now()
	loaded, problems := phpconfig.Load(t.Context(), cfg, path, nil)
	if took := time.Since(began); loaded == nil || len(problems) > 0 || took > 4*time.Second {
		t.Errorf("after %v: %s", took, lines(dir, problems))
	}
}

func TestIsPHP(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{"/a/config.php": true, "c.PHP": true, "config.ini": false, "php": false, "": false} {
		if phpconfig.IsPHP(path) != want {
			t.Errorf("%s: want %v", path, want)
		}
	}
}

// TestLoadByPHPOfOthers does not run a php that others may replace.
func TestLoadByPHPOfOthers(t *testing.T) {
	dir, cfg := setup(t)
	path := write(t, dir, "config.php", `<?php $gearman_config = [];`)
	cfg.PHP = write(t, dir, "php", "#!/bin/sh\n: > "+filepath.Join(dir, "ran")+"\n")
	if err := os.Chmod(cfg.PHP, 0o707); err != nil {
		t.Fatal(err)
	}
	_, problems := phpconfig.Load(t.Context(), cfg, path, nil)
	const want = "error: DIR/config.php: others may write to DIR/php, so DIR/php is not run, want chmod o-w DIR/php\n"
	if got := lines(dir, problems); got != want {
		t.Errorf("problems are %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it was run")
	}
}
