package manager

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
)

// TestOperatorsErrors are all that operate.go documents.
func TestOperatorsErrors(t *testing.T) {
	standalone := "#!/bin/sh\nexec sleep 60\n"
	c := newChanging(t, "count = 1\n[own]\ndedicated_count = 2\n[s]\nmode = standalone\n", map[string]string{"own.php": "<?php", "both.php": "<?php", "s.sh": standalone})
	ctx := soon(t)
	all := func(function string) map[string]error {
		_, restart := c.Restart(ctx, function)
		return map[string]error{
			"restart": restart, "scale": c.Scale(ctx, []Scaling{{function, 1}}), "pause": c.Pause(ctx, function),
			"drain": c.Drain(ctx, function), "resume": c.Resume(ctx, function),
		}
	}
	wants := func(when string, errs map[string]error, want error) {
		t.Helper()
		for name, err := range errs {
			if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), name+" ") {
				t.Errorf("%s %s: error %v, want %v", name, when, err, want)
			}
		}
	}
	wants("before the start", all("own"), ErrNotRunning)
	if _, err := c.Reload(ctx, ReloadRequest{Config: true}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("reload before the start: %v", err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants("of nobody", all("nobody"), ErrNoPool)
	for _, s := range []struct {
		function string
		slots    int
		want     error
	}{{"both", 2, ErrShared}, {"own", -1, ErrSlots}, {"own", maxSlots + 1, ErrSlots}, {"nobody", 1, ErrNoPool}} {
		err := c.Scale(ctx, []Scaling{{"own", 7}, {s.function, s.slots}})
		if !errors.Is(err, s.want) || !strings.Contains(err.Error(), s.function) {
			t.Errorf("scale %s to %d: %v, want %v", s.function, s.slots, err, s.want)
		}
	}
	if n := c.pool("own").Slots; n != 2 {
		t.Errorf("own has %d slots: all or none is scaled", n)
	}
	if err := c.Pause(ctx, "s"); !errors.Is(err, ErrStandalone) {
		t.Errorf("pause of a standalone program: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Reload(canceled, ReloadRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("reload for nobody: %v", err)
	}
	c.stop()
	wants("after the end", all("own"), ErrNotRunning)
	if _, err := c.Reload(ctx, ReloadRequest{Config: true}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("reload after the end: %v", err)
	}
}

// TestScaleByHand holds until the config changes: not over a reload, a restart of workers or a
// touch, and neither over one that is refused.
func TestScaleByHand(t *testing.T) {
	const ini = "dedicated_count = 1\n[a]\ndedicated_count = 2\n"
	c := startChanging(t, ini, phpWorkers("a", "b"))
	c.settled()
	ctx := soon(t)
	if err := c.Scale(ctx, []Scaling{{"a", 4}, {"b", 3}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Scale(ctx, []Scaling{{"b", 0}}); err != nil {
		t.Fatal(err)
	}
	holds := func(when string) {
		t.Helper()
		c.settled()
		a, b := c.pool("a"), c.pool("b")
		if a.Slots != 4 || !a.Scaled || a.Origin != scaledByHand || b.Slots != 0 || len(b.Workers) != 0 {
			t.Errorf("%s: a %+v, b %+v", when, a, b)
		}
	}
	holds("at once")
	c.registered("a", 4)
	c.registered("b", 0)
	c.reloads()
	holds("after a reload")
	if n, err := c.Restart(ctx, ""); err != nil || n != 4 {
		t.Errorf("restart: %d, %v", n, err)
	}
	holds("after a restart")
	if err := errors.Join(c.Drain(ctx, "a"), c.Resume(ctx, "a")); err != nil {
		t.Error(err)
	}
	holds("after a drain")
	c.write("w/new.php", "<?php // new")
	c.reloads("new: new, 1 slot")
	holds("with a new program")
	c.config(ini + "timeout = often\n")
	c.reloads()
	holds("under a refused config")
	c.config(ini)
	c.reloads()
	holds("under the config that was refused meanwhile")
	c.config(ini + "timeout = 7\n")
	c.reloads("a: count 4 → 2; timeout none → 7s", "b: count 0 → 1")
	c.settled()
	if a := c.pool("a"); a.Slots != 2 || a.Scaled {
		t.Errorf("under another config: %+v", a)
	}
	if e := happened[ScaleEnded](c.fleet); len(e) != 1 || !slices.Equal(e[0].Functions, []string{"a", "b"}) {
		t.Errorf("events %+v", e)
	}
}

// TestPauseAndDrain: a paused function's workers stay, a drained one's leave; Resume ends
// both, also of a function that is gone meanwhile.
func TestPauseAndDrain(t *testing.T) {
	c := startChanging(t, "dedicated_count = 2\n", phpWorkers("a", "b"))
	c.settled()
	ctx, pids := soon(t), c.pids("a")
	if err := errors.Join(c.Pause(ctx, "a"), c.Pause(ctx, "a")); err != nil {
		t.Fatal(err)
	}
	if n := c.count("a"); n != 0 { // all have been told
		t.Errorf("%d workers are registered", n)
	}
	if p := c.pool("a"); !slices.Equal(p.Paused, []string{"a"}) || !slices.Equal(c.pids("a"), pids) {
		t.Errorf("%+v", p)
	}
	if n, err := c.Restart(ctx, "a"); n != 2 || err != nil {
		t.Errorf("restart: %d, %v", n, err)
	}
	c.reloads()
	if n := c.count("a"); n != 0 {
		t.Errorf("%d workers are registered after a restart", n)
	}
	if err := c.Drain(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	c.until("all have left", func() bool { return len(c.pool("a").Workers) == 0 })
	if p := c.pool("a"); !slices.Equal(p.Drained, []string{"a"}) || len(p.Paused) > 0 || p.Slots != 0 {
		t.Errorf("%+v", p)
	}
	if err := c.Resume(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	c.settled()
	c.registered("a", 2)
	if p := c.pool("a"); len(p.Drained)+len(p.Paused) > 0 {
		t.Errorf("%+v", p)
	}
	if err := c.Drain(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.path("w/b.php"), c.path("w/other.php")); err != nil {
		t.Fatal(err)
	}
	c.reloads("b: removed", "other: new, 2 slots")
	c.registered("other", 2)
	if err := c.Resume(ctx, "b"); err != nil {
		t.Error(err)
	}
	if err := c.Resume(ctx, "b"); !errors.Is(err, ErrNoPool) {
		t.Errorf("resumed again: %v", err)
	}
}

// TestPlanIsGiven: a fleet whose plan was given keeps it over everything.
func TestPlanIsGiven(t *testing.T) {
	addr := startEmbedded(t)
	plan := &Plan{Pools: []PoolPlan{dedicated("echo", 2), command("lines", 3, "/usr/bin/wc", "-l")}}
	f := startFleet(t, addr, plan.Pools...)
	f.registered("echo", 2)
	f.registered("lines", 3)
	ctx := soon(t)
	if r, err := f.Reload(ctx, ReloadRequest{Config: true, Code: true}); err != nil || len(r.Changes)+len(r.Problems) > 0 {
		t.Errorf("reload: %+v, %v", r, err)
	}
	if n, err := f.Restart(ctx, "echo"); n != 2 || err != nil {
		t.Errorf("restart: %d, %v", n, err)
	}
	if err := f.Scale(ctx, []Scaling{{"echo", 3}}); err != nil {
		t.Error(err)
	}
	f.registered("echo", 3)
	if err := f.Drain(ctx, "lines"); err != nil {
		t.Error(err)
	}
	f.registered("lines", 0)
	if err := f.Resume(ctx, "lines"); err != nil {
		t.Error(err)
	}
	f.registered("lines", 3)
	if plan.Pools[0].Slots != 2 || f.cfg.Plan.Pools[0].Slots != 2 {
		t.Error("the plan of the caller was changed")
	}
}

// TestServersAreGiven: those of the config do not count then, else they do.
func TestServersAreGiven(t *testing.T) {
	for _, given := range []bool{true, false} {
		t.Run(fmt.Sprint(given), func(t *testing.T) {
			c := newChanging(t, "dedicated_count = 1\n", phpWorkers("a"))
			if given {
				c.cfg.Servers = []string{c.addr}
			}
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.settled()
			other := startEmbedded(t)
			c.config("dedicated_count = 1\n")
			c.write("c.ini", strings.Replace(c.read("c.ini"), c.addr, other, 1))
			c.reloads()
			want := other
			if given {
				want = c.addr
			}
			c.until("the servers are those that are wanted", func() bool {
				s := c.Snapshot().Servers
				return len(s) == 1 && s[0].Address == want && s[0].Slots == 1
			})
			if n := len(happened[ServersChanged](c.fleet)); given != (n == 0) {
				t.Errorf("%d changes of servers", n)
			}
		})
	}
}

// TestManyOperators call everything at once, and the fleet is stopped among them.
func TestManyOperators(t *testing.T) {
	c := startChanging(t, "count = 1\n[a]\ndedicated_count = 2\n", phpWorkers("a", "b"))
	ctx := soon(t)
	may := []error{nil, ErrNotRunning, ErrNoPool, ErrShared}
	calls := []func(i int) error{
		func(int) error { _, err := c.Reload(ctx, ReloadRequest{Config: true, Code: true}); return err },
		func(int) error { _, err := c.Restart(ctx, "a"); return err },
		func(i int) error { return c.Scale(ctx, []Scaling{{"a", i % 4}, {"*", i % 3}}) },
		func(int) error { return c.Pause(ctx, "b") },
		func(int) error { return c.Resume(ctx, "b") },
		func(int) error { return c.Drain(ctx, "a") },
		func(int) error { return c.Resume(ctx, "a") },
		func(int) error { _ = c.Snapshot(); _ = c.SnapshotWithMemory(); _ = c.Plan(); return nil },
		func(i int) error { c.php.set(func(f *forks) { f.cannot = []error{nil, errNoStart}[i%2] }); return nil },
		func(i int) error {
			name, text := c.path("w/b.php"), fmt.Sprintf("<?php // %d", i)
			return os.WriteFile(name, []byte(text), 0o600)
		},
		func(int) error { _ = c.Retry("a"); c.Hurry(); return nil },
	}
	var all sync.WaitGroup
	for caller := range 20 {
		all.Go(func() {
			for i := range 10 {
				if err := calls[(caller+i)%len(calls)](caller + i); !slices.ContainsFunc(may, func(ok error) bool { return errors.Is(err, ok) }) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
	<-time.After(rand.N(300 * time.Millisecond)) //nolint:gosec // chance
	if took := c.stop(); took > 30*time.Second {
		t.Errorf("stopped after %v", took)
	}
	all.Wait()
	if p := c.Snapshot().Pools; slices.ContainsFunc(p, func(p PoolStatus) bool { return len(p.Workers) > 0 }) {
		t.Errorf("after the end: %+v", p)
	}
}

// TestWarningsAreToldOnce also where the config was read before the start.
func TestWarningsAreToldOnce(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\nunknown_key = 1\n", phpWorkers("a"))
	if !c.shows("unknown_key") {
		t.Errorf("shown at first: %v", c.Snapshot().Reload.Problems)
	}
	for range 2 {
		c.reloads()
		c.asks(ReloadRequest{Code: true})
	}
	if !c.shows("unknown_key") || len(c.told()) > 0 {
		t.Errorf("shown: %v; told: %v", c.Snapshot().Reload.Problems, c.told())
	}
	if config.HasErrors(c.Snapshot().Reload.Problems) {
		t.Error("there are errors")
	}
}

// TestNobodyWaitsForTheConfig: while it is being read, what does not need it is done.
func TestNobodyWaitsForTheConfig(t *testing.T) {
	c := newChanging(t, "dedicated_count = 1\n", phpWorkers("a"))
	reads := make(chan struct{})
	c.cfg.Reload = func(ctx context.Context) (*config.Config, []config.Problem) {
		reads <- struct{}{}
		<-ctx.Done()
		return nil, nil
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	over := make(chan error)
	go func() {
		_, err := c.Reload(context.Background(), ReloadRequest{Config: true})
		over <- err
	}()
	<-reads
	ctx := soon(t)
	_, restart := c.Restart(ctx, "a")
	if err := errors.Join(c.Scale(ctx, []Scaling{{"a", 2}}), c.Pause(ctx, "a"), c.Drain(ctx, "a"), c.Resume(ctx, "a"), restart); err != nil {
		t.Error(err)
	}
	c.stop()
	if err := <-over; !errors.Is(err, ErrNotRunning) {
		t.Errorf("error %v", err)
	}
}
