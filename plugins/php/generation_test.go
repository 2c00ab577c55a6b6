package php_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// version is a file whose workers tell which version of it they have loaded.
func version(t *testing.T, dir, v string) php.File {
	t.Helper()
	return workerFile(t, dir, "version", `echo "version `+v+` of ", getmypid(), "\n"; function version($job) {}`)
}

// runs tells which version of a file the workers of a generation load.
func (b *bundle) runs(t *testing.T, g *php.Generation, file php.File) string {
	t.Helper()
	printed := &lines{}
	l := launch(file)
	l.Output = printed.add
	w, err := g.Start(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	w.Release()
	finish(t, w)
	_, said, _ := strings.Cut(printed.String(), "version ")
	v, _, _ := strings.Cut(said, " ")
	return v
}

// parents are how many processes fork.
func (b *bundle) parents() (n int) {
	for _, p := range b.sup.Processes() {
		if p.Name() == "php parent" {
			n++
		}
	}
	return n
}

// TestGenerationsHoldTheirVersions changes a file that workers run, and then removes it.
func TestGenerationsHoldTheirVersions(t *testing.T) {
	for name, preload := range map[string]bool{"opcache": false, "preload": true} {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, true, func(cfg *php.Config) {
				cfg.Preload = preload
				if preload {
					cfg.Args = []string{"-d", "opcache.enable=0"}
				}
			})
			dir := t.TempDir()
			var all []*php.Generation
			for v := range 3 {
				file := version(t, dir, fmt.Sprint(v))
				g := b.host.Generation()
				all = append(all, g)
				if found, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil || len(found) > 0 {
					t.Fatalf("%v, %v", found, err)
				}
				if err := g.Warm(t.Context(), []php.File{file}); err != nil {
					t.Fatal(err)
				}
			}
			file := version(t, dir, "broken")
			if err := os.Remove(file.Path); err != nil {
				t.Fatal(err)
			}
			if found, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil || len(found) != 1 {
				t.Fatalf("the file that is gone: %v, %v", found, err)
			}
			for v, g := range all {
				if got := b.runs(t, g, file); !preload && got != fmt.Sprint(v) || preload && got != "" {
					t.Errorf("version %d: workers have loaded %q", v, got)
				}
			}
		})
	}
}

// TestGenerationsAtOnce has several fork side by side, and end while others go on.
func TestGenerationsAtOnce(t *testing.T) {
	b := setupPHP(t, true, nil)
	var all sync.WaitGroup
	for v := range 4 {
		all.Go(func() {
			file := version(t, t.TempDir(), fmt.Sprint(v))
			g := b.host.Generation()
			if err := g.Warm(t.Context(), []php.File{file}); err != nil {
				t.Error(err)
			}
			var starts sync.WaitGroup
			for range 5 {
				starts.Go(func() {
					if got := b.runs(t, g, file); got != fmt.Sprint(v) {
						t.Errorf("generation %d has loaded version %q", v, got)
					}
				})
			}
			starts.Wait()
			if err := g.Close(); err != nil {
				t.Error(err)
			}
			if _, err := g.Start(t.Context(), launch(file)); !errors.Is(err, php.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
	all.Wait()
	if n := b.parents(); n > 0 {
		t.Errorf("%d parents left", n)
	}
}

// TestAGenerationWithoutMemory loads what the disk holds, and says nothing of a Warm: there
// is nothing that could hold it.
func TestAGenerationWithoutMemory(t *testing.T) {
	for name, args := range map[string][]string{
		"no fork":    {"-d", "disable_functions=pcntl_fork"},
		"no opcache": {"-d", "opcache.enable=0"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, true, func(cfg *php.Config) { cfg.Args = args })
			dir := t.TempDir()
			file := version(t, dir, "one")
			if err := b.gen.Warm(t.Context(), []php.File{file}); err != nil {
				t.Fatal(err)
			}
			version(t, dir, "two")
			if got := b.runs(t, b.gen, file); got != "two" {
				t.Errorf("it has loaded version %q", got)
			}
			if err := b.gen.Close(); err != nil {
				t.Error(err)
			}
			_, err := b.gen.Start(t.Context(), launch(file))
			if warm := b.gen.Warm(t.Context(), []php.File{file}); !errors.Is(err, php.ErrClosed) || !errors.Is(warm, php.ErrClosed) {
				t.Errorf("after Close: %v, %v", err, warm)
			}
		})
	}
}

// TestAFirstLoadIsHeld without a Warm, and those that are included with it.
func TestAFirstLoadIsHeld(t *testing.T) {
	b := setupPHP(t, true, nil)
	dir := t.TempDir()
	lib := version(t, dir, "one")
	file := workerFile(t, dir, "includes", "require '"+lib.Path+"'; function includes($job) {}")
	for range 2 {
		if got := b.runs(t, b.gen, file); got != "one" {
			t.Errorf("it has loaded version %q", got)
		}
		version(t, dir, "two")
	}
	if got := b.runs(t, b.host.Generation(), file); got != "two" {
		t.Errorf("another generation has loaded version %q", got)
	}
}

// TestWarmNamesWhatDoesNotLoad and holds the others, whatever comes before them.
func TestWarmNamesWhatDoesNotLoad(t *testing.T) {
	b := setupPHP(t, true, nil)
	dir := t.TempDir()
	files := []php.File{
		workerFile(t, dir, "syntax", "function syntax( {}"), workerFile(t, dir, "killed", "posix_kill(getmypid(), SIGKILL);"),
		workerFile(t, dir, "exits", "exit;"), version(t, dir, "one"),
	}
	err := b.gen.Warm(t.Context(), files)
	checkError[*php.WarmError](t, err, "load "+files[0].Path+": syntax error, unexpected token \"{\"")
	if warm, ok := errors.AsType[*php.WarmError](err); ok {
		for i, f := range warm.Findings {
			if f.Path != files[i].Path {
				t.Errorf("finding %d is %+v", i, f)
			}
		}
		if len(warm.Findings) != 3 || !strings.HasSuffix(err.Error(), " (and 2 more files)") {
			t.Errorf("%v: %+v", err, warm.Findings)
		}
	}
	version(t, dir, "two")
	if got := b.runs(t, b.gen, files[3]); got != "one" {
		t.Errorf("it holds version %q", got)
	}
}

// TestAGenerationLosesItsParent and with it what that held, which is told.
func TestAGenerationLosesItsParent(t *testing.T) {
	const told = "workers that are started from now on run what the disk holds"
	b := setupPHP(t, true, nil)
	dir := t.TempDir()
	file := version(t, dir, "one")
	if got := b.runs(t, b.gen, file); got != "one" {
		t.Errorf("it has loaded version %q", got)
	}
	version(t, dir, "two")
	parent := b.parent(t)
	if err := parent.Kill(); err != nil {
		t.Fatal(err)
	}
	testutil.Receive(t, "its end", parent.Done())
	if got := b.runs(t, b.gen, file); got != "two" {
		t.Errorf("with another parent it has loaded version %q", got)
	}
	if n := strings.Count(b.printed.String(), told); n != 1 {
		t.Errorf("told %d times:\n%s", n, b.printed)
	}
}

// TestOnlyGenerationsHaveParents counts them: one for each that is used, which takes over that of
// the inspections before, and one for inspections after that.
func TestOnlyGenerationsHaveParents(t *testing.T) {
	b := setupPHP(t, true, nil)
	file := version(t, t.TempDir(), "one")
	inspect := func() {
		t.Helper()
		if _, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil {
			t.Fatal(err)
		}
	}
	counts := func(when string, want int) {
		t.Helper()
		if n := b.parents(); n != want {
			t.Errorf("%s: %d parents, want %d", when, n, want)
		}
	}
	counts("at first", 0)
	inspect()
	inspect()
	counts("after inspections", 1)
	b.runs(t, b.gen, file)
	counts("with a generation", 1)
	inspect()
	counts("after another inspection", 2)
	other := b.host.Generation()
	counts("with a generation that is not used", 2)
	b.runs(t, other, file)
	counts("with two generations", 2)
	for range 2 {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
	counts("after the end of one", 1)
}

// TestWorkersOutliveTheirGeneration and are not touched by its end.
func TestWorkersOutliveTheirGeneration(t *testing.T) {
	b := setupPHP(t, true, nil)
	w := b.start(t, launch(workerFile(t, t.TempDir(), "reverse", reverse)))
	if err := b.gen.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCloseOfAGeneration has it come while several wait for a fork that never comes.
func TestCloseOfAGeneration(t *testing.T) {
	b := setupPeer(t, "mute", "ok", func(cfg *php.Config) { cfg.ForkTimeout = time.Hour })
	failed := make(chan error, 3)
	for range cap(failed) {
		go func() {
			_, err := b.gen.Start(t.Context(), launch())
			failed <- err
		}()
	}
	testutil.WaitFor(t, "a parent", func() bool { return b.parents() == 1 })
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := b.gen.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
	for range cap(failed) {
		if err := testutil.Receive(t, "the starts", failed); !errors.Is(err, php.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

// TestAGenerationOfAClosedHost is closed.
func TestAGenerationOfAClosedHost(t *testing.T) {
	b := setupPeer(t, "ok", "ok", nil)
	b.close(t)
	g := b.host.Generation()
	if _, err := g.Start(t.Context(), launch()); !errors.Is(err, php.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := g.Warm(t.Context(), nil); !errors.Is(err, php.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// TestInspectDoesNotCountForGenerations has files inspected while workers start.
func TestInspectDoesNotCountForGenerations(t *testing.T) {
	b := setupPHP(t, true, nil)
	dir := t.TempDir()
	file := version(t, dir, "one")
	if err := b.gen.Warm(t.Context(), []php.File{file}); err != nil {
		t.Fatal(err)
	}
	version(t, dir, "two")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if found, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil || len(found) > 0 {
				t.Errorf("%v, %v", found, err)
			}
		})
		all.Go(func() {
			if got := b.runs(t, b.gen, file); got != "one" {
				t.Errorf("it has loaded version %q", got)
			}
		})
	}
	all.Wait()
	second := b.host.Generation() // takes over the parent of the inspectors
	version(t, dir, "three")
	if got := b.runs(t, second, file); got != "three" {
		t.Errorf("the next generation has loaded version %q", got)
	}
}

// TestAReleaseThatIsGone is still run by the generation that has loaded it: its autoloader, a class that
// was loaded with the file, and one in PEAR's style.
func TestAReleaseThatIsGone(t *testing.T) {
	b := setupPHP(t, true, nil)
	release := filepath.Join(t.TempDir(), "release")
	workers := filepath.Join(release, "workers")
	for _, dir := range []string{workers, filepath.Join(release, "vendor")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	workerFile(t, filepath.Join(release, "vendor"), "autoload",
		"spl_autoload_register(function ($class) { if ($class === 'Version') { require_once __DIR__ . '/../vendor/version.php'; } });")
	workerFile(t, filepath.Join(release, "vendor"), "version", "class Version { const NUMBER = 'one'; }")
	file := workerFile(t, workers, "version", `echo 'version ', Version::NUMBER, " of it\n"; class Net_Gearman_Job_version extends Net_Gearman_Job_Common { public function run($arg) {} }`)
	if err := b.gen.Warm(t.Context(), []php.File{file}); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"before", "after"} {
		if got := b.runs(t, b.gen, file); got != "one" {
			t.Errorf("%s: it has loaded version %q", when, got)
		}
		if err := os.RemoveAll(release); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUseCountsForNewGenerations only: one that there is keeps its php, also when it is used for
// the first time, or when its parent dies.
func TestUseCountsForNewGenerations(t *testing.T) {
	b := setupPHP(t, true, func(cfg *php.Config) { cfg.Args = []string{"-d", "user_agent=old"} })
	file := workerFile(t, t.TempDir(), "agent", `echo 'version ', ini_get('user_agent'), " of it\n"; function agent($job) {}`)
	runs := func(g *php.Generation, want string) {
		t.Helper()
		if got := b.runs(t, g, file); got != want {
			t.Errorf("it runs with %q, want %q", got, want)
		}
	}
	unused := b.host.Generation()
	runs(b.gen, "old")
	if _, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil {
		t.Fatal(err)
	}
	b.host.Use(php.Command{Path: b.path, Args: []string{"-d", "user_agent=new"}})
	young := b.host.Generation()
	if found, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil || len(found) > 0 {
		t.Fatalf("%v, %v", found, err)
	}
	runs(young, "new")
	runs(unused, "old")
	_ = b.parent(t).Kill()
	runs(b.gen, "old")
	b.host.Use(php.Command{Path: "/nowhere/php"})
	if _, err := b.host.Probe(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := b.host.Generation().Start(t.Context(), launch(file)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	runs(young, "new")
}
