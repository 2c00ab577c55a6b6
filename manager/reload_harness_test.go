package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// changing is a fleet with a config and programs on disk. Its php is a fake one.
type changing struct {
	*fleet
	php  *forks
	addr string
	dir  string // of the config, with workers in "w"
	runs string // the runtime directory
}

// newChanging makes a fleet that is not started yet, of a config and worker files.
func newChanging(t *testing.T, ini string, files map[string]string) *changing {
	t.Helper()
	addr := startEmbedded(t)
	c := &changing{
		fleet: &fleet{t: t, client: jobtest.NewClient(t, addr), admin: jobtest.NewAdmin(t, addr)},
		php:   &forks{}, addr: addr, dir: t.TempDir(), runs: settings(t, addr).RuntimeDir(),
	}
	if err := os.Mkdir(filepath.Join(c.dir, "w"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		c.write("w/"+name, text)
	}
	c.config(ini)
	cfg, problems := c.load(t.Context())
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	c.make(Config{Settings: cfg, Problems: problems, Reload: c.load})
	c.php.host, c.Manager.php.open = c.host, c.php.open
	return c
}

// startChanging makes one and starts it.
func startChanging(t *testing.T, ini string, files map[string]string) *changing {
	t.Helper()
	c := newChanging(t, ini, files)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *changing) load(context.Context) (*config.Config, []config.Problem) {
	return config.Load(c.path("c.ini"), config.Overrides{{Key: "runtime_dir", Value: c.runs}})
}

func (c *changing) path(name string) string { return filepath.Join(c.dir, name) }

// write puts a file in the place of another, as mv does. Scripts can be executed.
func (c *changing) write(name, text string) {
	c.t.Helper()
	mode := os.FileMode(0o600)
	if strings.HasPrefix(text, "#!") {
		mode = 0o700
	}
	path := c.path(name)
	if err := os.WriteFile(path+"~", []byte(text), mode); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		c.t.Fatal(err)
	}
}

func (c *changing) remove(name string) {
	c.t.Helper()
	if err := os.Remove(c.path(name)); err != nil {
		c.t.Fatal(err)
	}
}

// config writes what is global, without servers and worker_dir, and sections. DIR stands
// for the directory of the config.
func (c *changing) config(ini string) {
	c.t.Helper()
	c.write("c.ini", "[GearmanManager]\nworker_dir = "+c.path("w")+"\nphp = sh\nhost = "+c.addr+"\n"+strings.ReplaceAll(ini, "DIR", c.dir))
}

// reloads applies everything, and wants it to be what changes say, "pool: what; what".
func (c *changing) reloads(want ...string) ReloadReport {
	c.t.Helper()
	return c.asks(ReloadRequest{Config: true, Code: true}, want...)
}

func (c *changing) asks(req ReloadRequest, want ...string) ReloadReport {
	c.t.Helper()
	report, err := c.Reload(c.t.Context(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, change := range report.Changes {
		got = append(got, change.Pool+": "+strings.Join(change.What, "; "))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		c.t.Errorf("changes %q, want %q (problems %v)", got, want, report.Problems)
	}
	return report
}

// pool is the status of the pool of that name, of the one that leaves if there are two.
func (c *changing) pool(name string) (found PoolStatus) {
	for _, p := range c.Snapshot().Pools {
		if p.Name == name {
			found = p
		}
	}
	return found
}

// pids are those of the workers of a pool.
func (c *changing) pids(name string) (pids []int) {
	for _, w := range c.pool(name).Workers {
		pids = append(pids, w.PID)
	}
	slices.Sort(pids)
	return pids
}

func (c *changing) until(what string, cond func() bool) {
	c.t.Helper()
	testutil.WaitFor(c.t, what, cond)
}

// settled waits until all workers are ready and of the code that is wanted.
func (c *changing) settled() {
	c.t.Helper()
	c.until("the fleet is settled", func() bool {
		for _, p := range c.Snapshot().Pools {
			if p.Leaving || p.Outdated > 0 {
				return false
			}
			slots := 0
			for _, w := range p.Workers {
				if w.State != StateReady || w.Ready != w.Slots {
					return false
				}
				slots += w.Slots
			}
			if slots != p.Slots {
				return false
			}
		}
		return true
	})
}

// told are the problems that were told, by message.
func (c *changing) told() map[string]int {
	told := map[string]int{}
	for _, e := range happened[ProblemFound](c.fleet) {
		told[e.Problem.Message]++
	}
	return told
}

// shows tells whether the problems that are shown have such a text in their messages.
func (c *changing) shows(text string) bool {
	return slices.ContainsFunc(c.Snapshot().Reload.Problems, func(p config.Problem) bool { return strings.Contains(p.String(), text) })
}

// forks is a php whose workers are the test binary as a plugin. It counts generations.
type forks struct {
	host *host.Host

	mu       sync.Mutex
	cannot   error // of Start
	cold     error // of Warm
	unclosed int   // generations that have been used and not closed
	closed   int
	twice    int // that were closed again
	started  []string
	used     []string
}

func (f *forks) open(string) (phpHost, error) { return f, nil }

func (f *forks) Generation() phpGeneration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unclosed++
	return &forked{forks: f, n: f.unclosed + f.closed}
}

func (f *forks) Use(path string, args []string, _ bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used = append(f.used, filepath.Base(path)+" "+strings.Join(args, " "))
}

func (f *forks) Close() error { return nil }

func (f *forks) Inspect(_ context.Context, files []PHPFile) ([]PHPFault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var faults []PHPFault
	for _, file := range files {
		text, err := os.ReadFile(file.Path)
		if err != nil || strings.Contains(string(text), "broken") {
			faults = append(faults, PHPFault{Path: file.Path, Problem: "syntax error", File: file.Path, Line: 1})
		}
	}
	return faults, nil
}

// set changes the fake.
func (f *forks) set(change func(*forks)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// alive are the generations that are not closed.
func (f *forks) alive() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unclosed
}

// forked is a generation.
type forked struct {
	forks *forks
	n     int
	over  bool
}

func (g *forked) Start(ctx context.Context, launch host.Launch) (process, error) {
	g.forks.mu.Lock()
	err, over := g.forks.cannot, g.over
	g.forks.mu.Unlock()
	if over {
		return nil, errors.New("the generation is closed")
	}
	if err != nil {
		return nil, err
	}
	function, _, _ := strings.Cut(launch.Name, "/")
	launch.Path, _ = os.Executable()
	launch.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", functionEnv+"="+function)
	w, err := g.forks.host.Start(ctx, launch)
	if err != nil {
		return nil, err
	}
	g.forks.set(func(f *forks) { f.started = append(f.started, fmt.Sprintf("%s by %d", function, g.n)) })
	return w, nil
}

func (g *forked) Warm(ctx context.Context, _ []PHPFile) error {
	g.forks.mu.Lock()
	defer g.forks.mu.Unlock()
	return errors.Join(g.forks.cold, context.Cause(ctx))
}

func (g *forked) Close() error {
	g.forks.mu.Lock()
	defer g.forks.mu.Unlock()
	if g.over {
		g.forks.twice++
		return nil
	}
	g.over = true
	g.forks.unclosed--
	g.forks.closed++
	return nil
}

// constantly submits jobs one after another until it is stopped, and wants all to be done.
func (c *changing) constantly(function string) (stop func() (done int)) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var all sync.WaitGroup
	n := 0
	all.Go(func() {
		for ctx.Err() == nil {
			if _, err := c.do(function, "1ms"); err != nil { //nolint:contextcheck // the last job is waited for
				c.t.Errorf("job %d of %s: %v", n, function, err)
				return
			}
			n++
		}
	})
	return func() int {
		cancel()
		all.Wait()
		return n
	}
}

// soon is a context for what must not block.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
