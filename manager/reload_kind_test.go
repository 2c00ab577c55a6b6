package manager

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// waits is an executable that does what the workers of the fake php do.
const waits = "#!/bin/sh\nsleep 0.001\necho waited\n"

// TestAnotherKind: a file of another kind takes over a function under load, without a
// failed job.
func TestAnotherKind(t *testing.T) {
	c := startChanging(t, "dedicated_count = 2\n", phpWorkers("a", "b"))
	c.settled()
	b := c.pids("b")
	stop := c.constantly("a")
	c.write("a.sh", waits)
	c.remove("w/a.php")
	c.config("dedicated_count = 2\n[a]\ncommand = DIR/a.sh\n")
	c.reloads("a: new, 2 slots", "a: removed")
	c.until("the old pool is gone", func() bool { return len(c.Snapshot().Pools) == 2 })
	if p := c.pool("a"); p.Kind != KindExec {
		t.Errorf("%+v", p)
	}
	c.config("dedicated_count = 2\n")
	c.write("w/a.php", "<?php // back")
	c.reloads("a: new, 2 slots", "a: removed")
	c.until("the old pool is gone", func() bool { return len(c.Snapshot().Pools) == 2 })
	if n := stop(); n == 0 {
		t.Error("no job was done")
	}
	c.settled()
	if !slices.Equal(c.pids("b"), b) {
		t.Error("workers of b were replaced")
	}
}

// TestAnotherKindThatCannotStart: the pool that was there goes on, heeds what is set by
// hand, and leaves when the new one is mended.
func TestAnotherKindThatCannotStart(t *testing.T) {
	for _, end := range []string{"mended", "put back", "drained", "removed", "stopped"} {
		t.Run(end, func(t *testing.T) {
			const asCommand = "dedicated_count = 1\n[a]\ncommand = DIR/a.sh\n"
			c := startChanging(t, asCommand, map[string]string{"../a.sh": waits})
			c.settled()
			ctx := soon(t)
			c.php.set(func(f *forks) { f.cannot = errNoStart })
			c.config("dedicated_count = 1\n")
			c.write("w/a.php", "<?php")
			c.reloads("a: new, 1 slot", "a: removed")
			c.until("a start has failed", func() bool { return len(happened[StartFailed](c.fleet)) > 0 })
			if got, err := c.do("a", "1ms"); strings.TrimSpace(got) != "waited" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			s := c.Snapshot().Pools
			if len(s) != 2 || s[0].Kind != KindPHP || s[0].Failures == 0 || s[1].Kind != KindExec || !s[1].Leaving || len(s[1].Workers) != 1 {
				t.Errorf("pools %+v", s)
			}
			if err := c.Pause(ctx, "a"); err != nil {
				t.Error(err)
			}
			c.registered("a", 0)
			if err := c.Resume(ctx, "a"); err != nil {
				t.Error(err)
			}
			c.registered("a", 1)
			c.asks(ReloadRequest{Code: true})
			want := KindPHP
			switch end {
			case "mended":
				c.php.set(func(f *forks) { f.cannot = nil })
				_ = c.Retry("a") // it may be trying just now
			case "put back":
				c.remove("w/a.php")
				c.config(asCommand)
				c.reloads("a: new, 1 slot", "a: removed")
				want = KindExec
			case "drained":
				if err := c.Drain(ctx, "a"); err != nil {
					t.Error(err)
				}
				c.until("all have left", func() bool { return len(c.Snapshot().Pools) == 1 })
				return
			case "removed":
				c.remove("w/a.php")
				c.write("w/b.sh", waits)
				c.asks(ReloadRequest{Code: true}, "a: removed", "b: new, 1 slot")
				c.until("all have left", func() bool { p := c.Snapshot().Pools; return len(p) == 1 && p[0].Name == "b" })
				return
			case "stopped":
				if took := c.stop(); took > 10*time.Second {
					t.Errorf("stopped after %v", took)
				}
				return
			}
			c.until("one pool is left", func() bool { p := c.Snapshot().Pools; return len(p) == 1 && p[0].Kind == want })
			c.settled()
			c.registered("a", 1)
		})
	}
}

// TestRestartTakesWhatHasMoved: a deployment that switches a link has changed the paths of
// all programs; restart takes those of one function and leaves the others.
func TestRestartTakesWhatHasMoved(t *testing.T) {
	c := newChanging(t, "dedicated_count = 1\n", nil)
	for _, release := range []string{"1", "2"} {
		if err := os.Mkdir(c.path(release), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range phpWorkers("a", "b") {
			c.write(release+"/"+name, text+release)
		}
	}
	if err := os.Remove(c.path("w")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("1", c.path("w")); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.settled()
	b := c.pids("b")
	if err := os.Symlink("2", c.path("w~")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.path("w~"), c.path("w")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Restart(soon(t), "a"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	c.settled()
	if got := c.pool("a").Program; got != c.path("2/a.php") {
		t.Errorf("a runs %s", got)
	}
	if got := c.pool("b").Program; got != c.path("1/b.php") || !slices.Equal(c.pids("b"), b) {
		t.Errorf("b runs %s", got)
	}
}

// TestReloadThatIsGivenUp leaves nothing that it has prepared.
func TestReloadThatIsGivenUp(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\n", phpWorkers("a"))
	c.settled()
	records := len(c.recordFiles())
	was := c.now()
	f := c.lookWith(t.Context(), was.settings, was.programs, lookAt{code: true})
	f.plan.Pools = append(f.plan.Pools, PoolPlan{Name: "x", Kind: KindPHP, Slots: 1, Concurrency: 1, Workers: 1, Functions: []FunctionPlan{{Name: "x"}}})
	f.servers = []string{"127.0.0.1:1"}
	a := &applying{manager: c.Manager, found: f, roll: func(*PoolPlan) bool { return true }, notRun: map[poolKey]string{}}
	a.changeServers()
	a.assembly = &assembly{manager: c.Manager, servers: a.servers}
	if err := a.prepare(t.Context()); err != nil || len(a.added) != 1 || len(a.changed) != 1 || a.changed[0].change.fresh == nil {
		t.Fatalf("%v, %+v", err, a)
	}
	if n := c.php.alive(); n != 2 {
		t.Errorf("%d generations", n)
	}
	a.abandon()
	if n := c.php.alive(); n != 1 {
		t.Errorf("%d generations are left", n)
	}
	if n := len(c.recordFiles()); n != records {
		t.Errorf("%d files of records, were %d", n, records)
	}
	if s := c.Snapshot().Servers; len(s) != 1 || s[0].Address != c.addr {
		t.Errorf("servers %+v", s)
	}
	c.asks(ReloadRequest{Config: true, Code: true})
}

func (c *changing) recordFiles() (files []string) {
	c.t.Helper()
	entries, err := os.ReadDir(c.Dir())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "records") {
			files = append(files, e.Name())
		}
	}
	return files
}
