package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// fakePHP is an interpreter whose workers are the test binary in the part of a
// plugin.
type fakePHP struct {
	host     *host.Host // nil where nothing is started
	broken   string     // function whose file is broken
	unusable error
	asked    chan struct{} // if not nil, closed when files are looked at, which takes until ctx ends

	mu       sync.Mutex
	opened   []string // paths
	commands []string // that were to be used later
	closed   int
	requests []*workerpb.RunRequest
}

func (f *fakePHP) Generation() phpGeneration { return f }

func (f *fakePHP) Warm(context.Context, []PHPFile) error { return nil }

func (f *fakePHP) Use(path string, args []string, preload bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, fmt.Sprintf("%s %q %v", path, args, preload))
}

func (f *fakePHP) open(path string) (phpHost, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened = append(f.opened, path)
	return f, nil
}

func (f *fakePHP) Inspect(ctx context.Context, files []PHPFile) ([]PHPFault, error) {
	if f.asked != nil {
		close(f.asked)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	var faults []PHPFault
	for _, file := range files {
		if file.Function == f.broken {
			faults = append(faults, PHPFault{Path: file.Path, Problem: "syntax error", File: file.Path, Line: 2})
		}
	}
	return faults, f.unusable
}

func (f *fakePHP) Start(ctx context.Context, launch host.Launch) (process, error) {
	launch.Path, _ = os.Executable()
	launch.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	w, err := f.host.Start(ctx, launch)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, launch.Request())
	return w, nil
}

func (f *fakePHP) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

// phpSettings is a config with worker files of these functions and an interpreter.
func phpSettings(t *testing.T, addr, interpreter string, functions ...string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for _, name := range functions {
		if err := os.WriteFile(filepath.Join(dir, name+".php"), []byte("<?php"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := "[GearmanManager]\nworker_dir = " + dir + "\nruntime_dir = " + settings(t, addr).RuntimeDir() +
		"\nhost = " + addr + "\ncount = 1\ndedicated_count = 1\nprefix = job_\nphp = " + interpreter + "\n"
	cfg, problems := config.Parse("config.ini", []byte(text), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return cfg
}

// TestPHPFleet: the workers of all PHP pools are started by one host, broken files
// are left out and named.
func TestPHPFleet(t *testing.T) {
	addr := startEmbedded(t)
	php := &fakePHP{broken: "torn"}
	f := &fleet{t: t, client: jobtest.NewClient(t, addr), admin: jobtest.NewAdmin(t, addr)}
	f.make(Config{Settings: phpSettings(t, addr, "sh", "echo", "pid", "torn")})
	php.host, f.php.open = f.host, php.open
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.registered("echo", 2)
	f.registered("pid", 2)
	if got, err := f.do("echo", "hello"); got != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if n := f.count("torn"); n != 0 {
		t.Errorf("%d workers of a broken file", n)
	}
	problems := happened[ProblemFound](f)
	if len(problems) != 1 || problems[0].Problem.Line != 2 || filepath.Base(problems[0].Problem.File) != "torn.php" {
		t.Errorf("problems %+v", problems)
	}
	var programs []string
	for _, e := range happened[WorkerStarted](f) {
		programs = append(programs, filepath.Base(e.Program))
	}
	slices.Sort(programs)
	if got := strings.Join(programs, " "); got != "echo.php pid.php sh" {
		t.Errorf("programs %s", got)
	}
	f.stop()
	if len(php.opened) != 1 || !filepath.IsAbs(php.opened[0]) || php.closed != 2 { // the generation, then the host
		t.Errorf("opened %v, closed %d times", php.opened, php.closed)
	}
	for _, r := range php.requests {
		for _, fn := range r.GetFunctions() {
			if s := fn.GetSource(); s.GetSymbol() != "job_"+fn.GetName() || filepath.Base(s.GetFile()) != fn.GetName()+".php" {
				t.Errorf("source of %s: %v", fn.GetName(), s)
			}
		}
	}
}

// TestNoInterpreter: a php that is missing, or cannot be used, costs its own workers
// only, and is one error.
func TestNoInterpreter(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "php")
	if err := os.WriteFile(open, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	unusable := &fakePHP{unusable: errors.New("start php parent with " + shell + ": it printed nothing")}
	for name, c := range map[string]struct{ interpreter, want string }{
		"missing":  {"no-such-php", "the interpreter no-such-php is not on the PATH, so no PHP worker is run (echo, pid), want"},
		"open":     {open, "the interpreter " + open + " cannot be used: others may write to " + open},
		"unusable": {"sh", "the interpreter sh cannot be used: it printed nothing, so no PHP worker is run (echo, pid), want"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := "127.0.0.1:1"
			f := &fleet{t: t}
			f.make(Config{Settings: phpSettings(t, addr, c.interpreter, "echo", "pid")})
			f.php.open = unusable.open
			err := f.Start(t.Context())
			if _, ok := errors.AsType[*InterpreterError](err); !ok || !errors.Is(err, ErrNothingToRun) {
				t.Errorf("start: %v", err)
			}
			problems := happened[ProblemFound](f)
			if len(problems) != 1 || !strings.HasPrefix(problems[0].Problem.Message, c.want) || problems[0].Problem.Key != "php" {
				t.Errorf("problems %+v", problems)
			}
		})
	}
}

// TestPlannedPHPWithoutInterpreter: a plan that was made elsewhere runs without its
// PHP pools.
func TestPlannedPHPWithoutInterpreter(t *testing.T) {
	addr := startEmbedded(t)
	cfg := phpSettings(t, addr, "no-such-php", "thumbnail")
	php := dedicated("thumbnail", 2)
	php.Kind = KindPHP
	f := &fleet{t: t, client: jobtest.NewClient(t, addr), admin: jobtest.NewAdmin(t, addr)}
	f.make(Config{Settings: cfg, Plan: &Plan{Pools: []PoolPlan{php, dedicated("echo", 1)}}})
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := f.do("echo", "hello"); got != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	not := happened[PoolNotRun](f)
	if len(not) != 1 || not[0].Err == nil || not[0].Err.Error() != "the interpreter no-such-php is not on the PATH" {
		t.Errorf("not run: %+v", not)
	}
	if s := f.Snapshot(); s.Pools[0].Runs || !s.Pools[1].Runs {
		t.Errorf("snapshot %+v", s)
	}
}

// TestStopWhileInspecting: a manager that is told to stop while it looks at files
// says nothing of them.
func TestStopWhileInspecting(t *testing.T) {
	php := &fakePHP{asked: make(chan struct{})}
	f := &fleet{t: t}
	f.make(Config{Settings: phpSettings(t, "127.0.0.1:1", "sh", "echo")})
	f.php.open = php.open
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-php.asked
		cancel(errNoStart)
	}()
	if err := f.Start(ctx); !errors.Is(err, errNoStart) {
		t.Errorf("start: %v", err)
	}
	if problems := happened[ProblemFound](f); len(problems) > 0 {
		t.Errorf("problems %+v", problems)
	}
}

// TestInterpreterIsOpenedOnce: by whichever of many callers is first, and not again
// once it was closed.
func TestInterpreterIsOpenedOnce(t *testing.T) {
	t.Parallel()
	php := &fakePHP{}
	i := &interpreter{name: "sh", open: php.open}
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if h, err := i.get(); h != phpHost(php) || err != nil {
				t.Errorf("got %v, %v", h, err)
			}
		})
	}
	calls.Wait()
	for range 2 {
		if err := i.close(); err != nil {
			t.Error(err)
		}
	}
	if len(php.opened) != 1 || php.closed != 1 {
		t.Errorf("opened %v, closed %d times", php.opened, php.closed)
	}
	if _, err := i.get(); !errors.Is(err, errStopping) {
		t.Errorf("after the end: %v", err)
	}
	never := &interpreter{name: "sh", open: php.open}
	if err := never.close(); err != nil {
		t.Error(err)
	}
	if _, err := never.Inspect(t.Context(), nil); !errors.Is(err, errStopping) || len(php.opened) != 1 {
		t.Errorf("never opened: %v", err)
	}
}

// TestAnInterpreterIsLookedForAgain after it could not be found, or was of no use.
func TestAnInterpreterIsLookedForAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "php")
	php := &fakePHP{unusable: errors.New("it printed nothing")}
	i := &interpreter{name: path, open: php.open}
	_, err := i.Inspect(t.Context(), nil)
	if _, ok := errors.AsType[*InterpreterError](err); !ok || i.fault() == nil || len(php.opened) != 0 {
		t.Errorf("without a php: %v, %v, opened %v", err, i.fault(), php.opened)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err = i.Inspect(t.Context(), nil); !errors.Is(err, php.unusable) || !errors.Is(i.fault(), php.unusable) || php.closed != 1 {
		t.Errorf("with a broken one: %v, %v, closed %d times", err, i.fault(), php.closed)
	}
	useless := php.unusable
	php.unusable = nil
	if _, err = i.Inspect(t.Context(), nil); err != nil || i.fault() != nil || len(php.opened) != 2 {
		t.Errorf("with a good one: %v, %v, opened %v", err, i.fault(), php.opened)
	}
	php.unusable = useless
	if _, err = i.Inspect(t.Context(), nil); !errors.Is(err, useless) || php.closed != 1 {
		t.Errorf("broken later: %v, closed %d times", err, php.closed)
	}
	if h, err := i.get(); h != phpHost(php) || err != nil {
		t.Errorf("its workers may run: %v, %v", h, err)
	}
}

// TestAnotherInterpreterIsUsed once a config has it, or once something else lies where it was.
func TestAnotherInterpreterIsUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := write("one", "#!/bin/sh\n"), write("two", "#!/bin/sh\n")
	php := &fakePHP{}
	i := &interpreter{name: one, open: php.open}
	set := func(text string, want ...string) {
		t.Helper()
		cfg, problems := config.Parse("config.ini", []byte("[GearmanManager]\nworker_dir = "+dir+"\n"+text), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		i.use(cfg)
		if _, err := i.get(); err != nil {
			t.Error(err)
		}
		if got := strings.Join(php.commands, "; "); got != strings.Join(want, "; ") {
			t.Errorf("%q: used %s", text, got)
		}
	}
	all := []string{one + " [] false", two + " [] false", two + ` ["-n"] false`, two + ` ["-n"] true`}
	set("php = "+one, all[0])
	set("php = "+one, all[0])
	set("php = "+two, all[:2]...)
	set("php = "+two+"\nphp_args = -n", all[:3]...)
	set("php = "+two+"\nphp_args = -n\nphp_preload = 1", all...)
	write("two", "#!/bin/bash\n")
	set("php = "+two+"\nphp_args = -n\nphp_preload = 1", append(all, all[3])...)
	if i.where() != two || len(php.opened) != 1 || php.closed != 0 {
		t.Errorf("at %s, opened %v, closed %d times", i.where(), php.opened, php.closed)
	}
	cfg, _ := config.Parse("config.ini", []byte("[GearmanManager]\nphp = no-such-php\n"), nil)
	i.use(cfg)
	for range 2 {
		if _, err := i.get(); err == nil || php.closed != 0 {
			t.Errorf("none: %v, closed %d times", err, php.closed)
		}
	}
	set("php = "+two+"\nphp_args = -n\nphp_preload = 1", append(all, all[3])...)
}

// TestNoPHPFiles: a fleet without PHP files does not look for an interpreter.
func TestNoPHPFiles(t *testing.T) {
	php := &fakePHP{}
	f := &fleet{t: t}
	f.make(Config{Settings: phpSettings(t, "127.0.0.1:1", "sh"), Logger: zerolog.Nop()})
	f.php.open = php.open
	if err := f.Start(t.Context()); !errors.Is(err, ErrNothingToRun) {
		t.Error(err)
	}
	f.stop()
	if len(php.opened)+php.closed > 0 {
		t.Errorf("opened %v, closed %d times", php.opened, php.closed)
	}
}
