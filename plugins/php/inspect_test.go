package php_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestInspect looks at real files.
func TestInspect(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			dir := t.TempDir()
			lib := workerFile(t, dir, "lib", "\nfunction (;")
			files := []php.File{
				workerFile(t, dir, "good", "function good($job) {}"),
				workerFile(t, dir, "syntax", "\n\nfunction syntax( {}"),
				workerFile(t, dir, "missing", "function something() {}"),
				workerFile(t, dir, "throws", "function throws($job) {}\nthrow new RuntimeException('no database');"),
				workerFile(t, dir, "exits", "exit(3);"),
				workerFile(t, dir, "includes", "require '"+lib.Path+"';"),
				workerFile(t, dir, "killed", "posix_kill(getmypid(), SIGKILL);"),
				workerFile(t, dir, "twice", "function good($job) {} function twice($job) {}"),
				workerFile(t, dir, "my-dash", "function my_dash($job) {}"),
				workerFile(t, dir, "abstr", "abstract class abstr { public function run($job, &$log) {} }"),
				workerFile(t, dir, "closed", "class closed { private function __construct() {} public function run($job, &$log) {} }"),
				workerFile(t, dir, "norun", "class norun {}"),
				workerFile(t, dir, "late", "class late { function run($job, &$log) {} }"),
			}
			found, err := b.host.Inspect(t.Context(), files)
			if err != nil {
				t.Fatal(err)
			}
			want := []struct{ function, file, text string }{
				{"syntax", files[1].Path, "syntax error"},
				{"missing", "", "missing"},
				{"throws", files[3].Path, "no database"},
				{"exits", "", "it called exit() or die()"},
				{"includes", lib.Path, "syntax error"},
				{"killed", "", "php was killed by SIGKILL while the file was loaded"},
				{"my-dash", "", "PHP allows no function or class to be called my-dash, want the file renamed"},
				{"abstr", "", "class abstr is abstract"},
				{"closed", "", "the constructor of class closed is not public"},
				{"norun", "", "class norun has no public method run"},
			}
			if len(found) != len(want) {
				t.Fatalf("found %+v", found)
			}
			for i, w := range want {
				f := found[i]
				if f.Function != w.function || filepath.Base(f.Path) != w.function+".php" || !strings.Contains(f.Err, w.text) {
					t.Errorf("got %+v, want %+v", f, w)
				}
				if w.file != "" && (f.File != w.file || f.Line == 0) {
					t.Errorf("place of %+v", f)
				}
			}
		})
	}
}

// TestInspectors are told by how they end.
func TestInspectors(t *testing.T) {
	for _, parent := range []string{"ok", "does not fork"} {
		t.Run(parent, func(t *testing.T) {
			b := setupPeer(t, parent, "ok", func(cfg *php.Config) { cfg.InitTimeout = time.Second })
			var files []php.File
			for _, name := range []string{"good", "bad", "fatal", "good", "fatal", "dies", "dies", "bad", "dies", "babbles", "hangs", "good", "hangs"} {
				files = append(files, php.File{Function: name, Path: "/w/" + name + "/" + string(rune('a'+len(files))), Symbol: name})
			}
			found, err := b.host.Inspect(t.Context(), files)
			if err != nil {
				t.Fatal(err)
			}
			const (
				dies  = "php exited with status 11 while the file was loaded: out of luck"
				hangs = "it was not loaded within 1s"
			)
			want := []php.Finding{
				{Path: "/w/bad/b", Function: "bad", Err: "syntax error", File: "/lib.php", Line: 7},
				{Path: "/w/fatal/c", Function: "fatal", Err: "it called exit()"},
				{Path: "/w/fatal/e", Function: "fatal", Err: "it called exit()"},
				{Path: "/w/dies/f", Function: "dies", Err: dies},
				{Path: "/w/dies/g", Function: "dies", Err: dies},
				{Path: "/w/bad/h", Function: "bad", Err: "syntax error", File: "/lib.php", Line: 7},
				{Path: "/w/dies/i", Function: "dies", Err: dies},
				{Path: "/w/babbles/j", Function: "babbles", Err: `a line is not understood (invalid character '\x01' looking for beginning of value): "\x01\x02"`},
				{Path: "/w/hangs/k", Function: "hangs", Err: hangs},
				{Path: "/w/hangs/m", Function: "hangs", Err: hangs},
			}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInspectNothing(t *testing.T) {
	b := setupPeer(t, "exits", "ok", nil)
	if found, err := b.host.Inspect(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
	_, err := b.host.Inspect(t.Context(), []php.File{{Function: "good", Path: "/w/good.php"}})
	checkError[*php.StartError](t, err, "start php parent with "+b.path+": it exited with status 3")
}

func TestAnInspectThatIsGivenUp(t *testing.T) {
	b := setupPeer(t, "ok", "ok", nil)
	ctx, cancel := context.WithCancel(t.Context())
	inspected := make(chan error, 1)
	go func() {
		_, err := b.host.Inspect(ctx, []php.File{{Function: "hangs", Path: "/w/hangs.php"}})
		inspected <- err
	}()
	testutil.WaitFor(t, "an inspector", func() bool {
		for _, p := range b.sup.Processes() {
			if p.Name() == "php inspector" {
				return true
			}
		}
		return false
	})
	cancel()
	if err := testutil.Receive(t, "the Inspect", inspected); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := len(b.sup.Processes()); n > 1 {
		t.Errorf("%d processes, want the parent", n)
	}
}

// TestPreload loads the good files in the parent.
func TestPreload(t *testing.T) {
	b := setupPHP(t, true, func(cfg *php.Config) { cfg.Preload = true })
	dir := t.TempDir()
	good := workerFile(t, dir, "good", `echo 'loaded by ', getmypid(), "\n"; function good($job) {}`)
	bad := workerFile(t, dir, "bad", `function`)
	err := b.gen.Warm(t.Context(), []php.File{bad, good})
	checkError[*php.WarmError](t, err, "load "+bad.Path+": syntax error")
	for range 2 {
		printed := &lines{}
		l := launch(good)
		l.Output = printed.add
		w := b.start(t, l)
		if got := w.Hello().GetDescription().GetFunctions(); len(got) != 1 {
			t.Errorf("it performs %v", got)
		}
		w.Release()
		finish(t, w)
		if printed.String() != "" {
			t.Errorf("it has loaded the file again: %s", printed)
		}
		_ = b.parent(t).Kill()
	}
	testutil.WaitFor(t, "its output", func() bool { return strings.Count(b.printed.String(), "stdout: loaded by ") == 2 })
}

// TestPreloadFails is told once.
func TestPreloadFails(t *testing.T) {
	for mode, want := range map[string]string{
		"cannot preload":  "the worker files are not preloaded: no such class",
		"dies preloading": "the worker files are not preloaded: the php that forks has died: no answer to preload",
	} {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, mode, "ok", func(cfg *php.Config) { cfg.Preload = true })
			if err := b.gen.Warm(t.Context(), []php.File{{Function: "good", Path: "/w/good.php"}}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				w := b.start(t, launch())
				if err := w.Go(t.Context(), workerpb.Hold_HOLD_NONE, 0); err != nil {
					t.Error(err)
				}
			}
			if n := strings.Count(b.printed.String(), want); n != 1 {
				t.Errorf("told %d times:\n%s", n, b.printed)
			}
		})
	}
}
