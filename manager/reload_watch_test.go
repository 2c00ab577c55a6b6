package manager

import (
	"slices"
	"testing"
)

// TestRefusedIncludeIsMended: a file that only the refused config includes is watched.
func TestRefusedIncludeIsMended(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\n", phpWorkers("a"))
	c.settled()
	c.write("more.ini", "[a]\ntimeout = often\n")
	c.config("dedicated_count = 1\ninclude = more.ini\n")
	c.until("the config is refused", func() bool { return c.Snapshot().Reload.Refused })
	c.write("more.ini", "[a]\ntimeout = 5\ndedicated_count = 2\n")
	c.until("the config is taken", func() bool { return !c.Snapshot().Reload.Refused && c.pool("a").Slots == 2 })
}

// TestAutoUpdateIsSwitched: changed code is taken by itself from the moment on that the
// config says so.
func TestAutoUpdateIsSwitched(t *testing.T) {
	const off, on = "dedicated_count = 1\nauto_update = 0\n", "dedicated_count = 1\nauto_update = 1\n"
	c := startChanging(t, off, phpWorkers("a", "b"))
	c.settled()
	a, b := c.pids("a"), c.pids("b")
	c.write("w/a.php", "<?php // better")
	c.config(off + "[b]\ntimeout = 7\n")
	c.until("the config is taken", func() bool { return c.Plan().Pools[1].Functions[0].Timeout > 0 })
	if now := c.pids("a"); !slices.Equal(now, a) {
		t.Errorf("workers of a %v, were %v", now, a)
	}
	c.config(on)
	c.until("the code is taken", func() bool { return !slices.Equal(c.pids("a"), a) })
	c.settled()
	c.write("w/b.php", "<?php // better")
	c.until("the code is taken", func() bool { return !slices.Equal(c.pids("b"), b) })
	c.settled()
	c.config(off + "reload_config = 0\n")
	c.until("the config is taken", func() bool { return !c.now().settings.AutoUpdate() })
	b = c.pids("b")
	c.write("w/b.php", "<?php // best")
	c.config(on)
	c.followOnce(t.Context())
	if !slices.Equal(c.pids("b"), b) || c.now().settings.AutoUpdate() {
		t.Error("something was taken by itself")
	}
	c.reloads("b: " + newCodeOf(c, "b"))
	c.settled()
	c.write("w/new.php", "<?php // new")
	c.until("the program is taken", func() bool { return c.pool("new").Name != "" })
	c.remove("w/new.php")
	c.until("it is gone", func() bool { return c.pool("new").Name == "" })
}

// TestReloadByHandIsWatched: what a config names that was read by hand is watched at once.
func TestReloadByHandIsWatched(t *testing.T) {
	c := startChanging(t, "dedicated_count = 1\nreload_config = 0\n", phpWorkers("a"))
	c.settled()
	c.write("more.ini", "[a]\ntimeout = 5\n")
	c.config("dedicated_count = 1\ninclude = more.ini\n")
	c.reloads("a: timeout none → 5s")
	c.write("more.ini", "[a]\ntimeout = 6\n")
	c.until("it is noticed", func() bool { return c.Plan().Pools[0].Functions[0].Timeout.Seconds() == 6 })
}
