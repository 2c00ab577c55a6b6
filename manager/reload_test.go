package manager

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/config"
)

// phpWorkers are worker files of functions that wait.
func phpWorkers(names ...string) map[string]string {
	files := map[string]string{}
	for _, name := range names {
		files[name+".php"] = "<?php // " + name
	}
	return files
}

// TestReloadNothing changes nothing, whatever is asked for, and says nothing.
func TestReloadNothing(t *testing.T) {
	c := startChanging(t, "dedicated_count = 2\n[nobody]\ncount = 3\n", phpWorkers("a", "b"))
	c.settled()
	before, told := c.pids("a"), c.told()
	for range 3 {
		c.reloads()
		c.asks(ReloadRequest{})
		c.asks(ReloadRequest{Code: true})
		now := c.path("w/a.php")
		if err := os.Chtimes(now, c.Snapshot().At, c.Snapshot().At); err != nil {
			t.Fatal(err)
		}
		c.write("c.ini", "; a comment more\n"+c.read("c.ini"))
	}
	if got := c.pids("a"); !slices.Equal(got, before) {
		t.Errorf("workers %v, were %v", got, before)
	}
	for message, n := range c.told() {
		if n != told[message] {
			t.Errorf("told %d times: %s", n, message)
		}
	}
	if n := c.php.alive(); n != 1 {
		t.Errorf("%d generations of php", n)
	}
}

func (c *changing) read(name string) string {
	c.t.Helper()
	text, err := os.ReadFile(c.path(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// TestReloadTouchesOnlyWhatDiffers changes counts, limits, sections and programs.
func TestReloadTouchesOnlyWhatDiffers(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\n[a]\ndedicated_count = 2\n", phpWorkers("a", "b"))
	c.settled()
	a, b := c.pids("a"), c.pids("b")
	c.config("dedicated_count = 1\n[a]\ndedicated_count = 4\n[b]\ntimeout = 7\n")
	c.write("w/new.php", "<?php // new")
	c.reloads("a: count 2 → 4", "b: timeout none → 7s", "new: new, 1 slot")
	c.settled()
	if now := c.pids("a"); len(now) != 4 || !slices.Contains(now, a[0]) || !slices.Contains(now, a[1]) {
		t.Errorf("workers of a %v, were %v", now, a)
	}
	if now := c.pids("b"); !slices.Equal(now, b) {
		t.Errorf("workers of b %v, were %v", now, b)
	}
	c.registered("a", 4)
	c.registered("new", 1)
	c.remove("w/b.php")
	c.config("dedicated_count = 1\n")
	c.reloads("a: count 4 → 1", "b: removed")
	c.settled()
	c.registered("a", 1)
	c.registered("b", 0)
	if p := c.pool("b"); p.Name != "" {
		t.Errorf("b is still there: %+v", p)
	}
}

// TestReloadCode replaces the workers of one file, and leaves one that does not load.
func TestReloadCode(t *testing.T) {
	c := startChanging(t, "dedicated_count = 2\n", phpWorkers("a", "b"))
	c.settled()
	a, b := c.pids("a"), c.pids("b")
	c.write("w/a.php", "<?php // better")
	report := c.asks(ReloadRequest{Config: true})
	if len(report.Problems) > 0 {
		t.Errorf("problems %v", report.Problems)
	}
	report = c.asks(ReloadRequest{Code: true}, "a: "+newCodeOf(c, "a"))
	if len(report.Changes) != 1 {
		t.Fatal(report)
	}
	c.settled()
	if now := c.pids("a"); len(now) != 2 || slices.Contains(now, a[0]) || slices.Contains(now, a[1]) {
		t.Errorf("workers of a %v, were %v", now, a)
	}
	if !slices.Equal(c.pids("b"), b) {
		t.Errorf("workers of b %v, were %v", c.pids("b"), b)
	}
	a = c.pids("a")
	c.write("w/a.php", "<?php broken")
	for range 2 {
		c.asks(ReloadRequest{Code: true})
	}
	if !slices.Equal(c.pids("a"), a) || !c.shows("syntax error") || !strings.Contains(c.pool("a").Fault, "syntax error") {
		t.Errorf("workers %v, were %v; problems %v; fault %q", c.pids("a"), a, c.Snapshot().Reload.Problems, c.pool("a").Fault)
	}
	c.write("w/a.php", "<?php // better")
	c.asks(ReloadRequest{Code: true})
	if c.shows("syntax error") || c.pool("a").Fault != "" || len(happened[ProblemGone](c.fleet)) != 1 {
		t.Errorf("problems %v, fault %q", c.Snapshot().Reload.Problems, c.pool("a").Fault)
	}
}

// newCodeOf is what is said of new code of a pool.
func newCodeOf(c *changing, pool string) string {
	was := c.pool(pool).Hash
	hash, err := c.library.sums.File(c.path("w/" + pool + ".php"))
	if err != nil {
		c.t.Fatal(err)
	}
	return newCode(was, hash) + "; workers are replaced one after another"
}

// TestRefusedConfig keeps the config that holds, says once what is wrong, takes changed
// code meanwhile, and says when it is mended.
func TestRefusedConfig(t *testing.T) {
	const good = "dedicated_count = 1\n[a]\nslow = 3\n[nobody]\n"
	c := startChanging(t, good, phpWorkers("a"))
	c.settled()
	told := c.told()
	c.config("dedicated_count = 1\n[a]\ntimeout = often\n[nobody]\n")
	c.write("w/a.php", "<?php // better")
	if r := c.reloads("a: " + newCodeOf(c, "a")); !r.Refused || !config.HasErrors(r.Problems) {
		t.Errorf("report %+v", r)
	}
	c.settled()
	c.config("\n\ndedicated_count = 1\n[a]\ntimeout = often\n[nobody]\n") // on other lines
	for range 2 {
		if r := c.reloads(); !r.Refused {
			t.Errorf("report %+v", r)
		}
		if r := c.asks(ReloadRequest{Code: true}); !r.Refused {
			t.Errorf("report of code %+v", r)
		}
	}
	if err := c.Scale(t.Context(), []Scaling{{"a", 2}}); err != nil {
		t.Error(err)
	}
	if s := c.Snapshot(); !s.Reload.Refused || !c.shows("often") || c.pool("a").Slots != 2 {
		t.Errorf("shown: %+v", s.Reload)
	}
	if e := happened[ConfigRefused](c.fleet); len(e) != 1 || len(e[0].Problems) != 1 {
		t.Errorf("events %+v", e)
	}
	c.config(good)
	if r := c.reloads(); r.Refused || config.HasErrors(r.Problems) {
		t.Errorf("report %+v", r)
	}
	if s := c.Snapshot(); s.Reload.Refused || c.shows("often") || c.pool("a").Slots != 2 {
		t.Errorf("shown: %+v, slots %d: the scale is of this config", s.Reload, c.pool("a").Slots)
	}
	if n := len(happened[ConfigAccepted](c.fleet)); n != 1 {
		t.Errorf("accepted %d times", n)
	}
	for message, n := range c.told() {
		if n != max(1, told[message]) {
			t.Errorf("told %d times: %s", n, message)
		}
	}
	c.remove("c.ini")
	if r := c.reloads(); !r.Refused {
		t.Errorf("without a config: %+v", r)
	}
	if c.pool("a").Slots != 2 {
		t.Error("the config does not hold any more")
	}
}

// TestConfigIsRefusedForItsPlan: what only the plan shows is an error of the config, if it
// was not wrong before.
func TestConfigIsRefusedForItsPlan(t *testing.T) {
	const odd = "dedicated_count = 1\n[odd]\ndedicated_only = 1\ndedicated_count = 0\n"
	c := startChanging(t, "dedicated_count = 1\n", phpWorkers("a", "odd"))
	c.config(odd)
	if r := c.reloads(); !r.Refused {
		t.Errorf("report %+v", r)
	}
	c.remove("w/odd.php")
	if r := c.reloads("odd: removed"); r.Refused { // it is not wrong without the program
		t.Errorf("report %+v", r)
	}
	c.write("w/odd.php", "<?php // again")
	c.config(odd + "[a]\ndedicated_count = 2\n")
	for range 2 {
		if r := c.reloads(map[bool][]string{true: {"a: count 1 → 2"}}[c.pool("a").Slots == 1]...); r.Refused {
			t.Errorf("refused for what was wrong before: %+v", r.Problems)
		}
	}
}

// TestNotApplied warns of what is taken at the next start only, for as long as it stands.
func TestNotApplied(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\n", phpWorkers("a"))
	c.config("dedicated_count = 1\nstart_concurrency = 7\nstate_dir = /nowhere\ncontrol_owner = nobody\n")
	for range 2 {
		c.reloads()
		c.asks(ReloadRequest{Code: true})
		for _, key := range []string{"start_concurrency", "state_dir", "control_owner"} {
			if !slices.ContainsFunc(c.Snapshot().Reload.Problems, func(p config.Problem) bool {
				return p.Key == key && p.Severity == config.Warning && p.Line > 0 && strings.Contains(p.Message, "started again")
			}) {
				t.Errorf("no warning of %s: %v", key, c.Snapshot().Reload.Problems)
			}
		}
	}
	if n := c.told()["the new value takes effect when the manager is started again"]; n != 3 {
		t.Errorf("told %d times", n)
	}
	c.config("dedicated_count = 1\n")
	if r := c.reloads(); len(r.Problems) > 0 {
		t.Errorf("problems %v", r.Problems)
	}
}

// TestAnotherPHP has the workers forked from it, and goes on where it is none.
func TestAnotherPHP(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\n", phpWorkers("a"))
	c.settled()
	pids := c.pids("a")
	c.config("dedicated_count = 1\nphp_args = -x\n")
	c.reloads("a: php sh → sh -x; workers are replaced one after another")
	c.settled()
	if slices.Equal(c.pids("a"), pids) {
		t.Error("the worker is of the php before")
	}
	if used := c.php.used; len(used) == 0 || used[len(used)-1] != "sh -x" {
		t.Errorf("used %q", used)
	}
	pids = c.pids("a")
	c.php.set(func(f *forks) { f.cold = errors.New("no such argument") })
	c.config("dedicated_count = 1\nphp_args = -y\n")
	c.reloads("a: php sh -x → sh -y")
	if fault := c.pool("a").Fault; !strings.Contains(fault, "no such argument") || !slices.Equal(c.pids("a"), pids) {
		t.Errorf("fault %q, workers %v, were %v", fault, c.pids("a"), pids)
	}
	c.php.set(func(f *forks) { f.cold = nil })
	c.config("dedicated_count = 1\nphp_args = -x\n")
	c.reloads("a: php sh -y → sh -x")
	if p := c.pool("a"); p.Fault != "" || !slices.Equal(c.pids("a"), pids) {
		t.Errorf("%+v", p)
	}
}

// TestGenerationsAreClosed with the last edition that uses them, once.
func TestGenerationsAreClosed(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\n", phpWorkers("a", "b", "d"))
	c.settled()
	if n := c.php.alive(); n != 1 {
		t.Errorf("%d generations for three pools", n)
	}
	for range 3 {
		c.asks(ReloadRequest{Code: true, Roll: true}, "a: workers are replaced one after another",
			"b: workers are replaced one after another", "d: workers are replaced one after another")
		c.settled()
	}
	c.until("one generation is left", func() bool { return c.php.alive() == 1 })
	c.write("w/a.php", "<?php // new")
	c.asks(ReloadRequest{Code: true}, "a: "+newCodeOf(c, "a"))
	c.settled()
	c.until("two generations are used", func() bool { return c.php.alive() == 2 })
	c.remove("w/a.php")
	c.asks(ReloadRequest{Code: true}, "a: removed")
	c.until("the generation of the pool is closed", func() bool { return c.php.alive() == 1 })
	c.remove("w/b.php")
	c.asks(ReloadRequest{Code: true}, "b: removed")
	c.until("b is gone", func() bool { return c.pool("b").Name == "" })
	if n := c.php.alive(); n != 1 {
		t.Errorf("%d generations while d runs", n)
	}
	c.php.mu.Lock()
	defer c.php.mu.Unlock()
	if c.php.twice > 0 {
		t.Errorf("%d were closed twice", c.php.twice)
	}
}
