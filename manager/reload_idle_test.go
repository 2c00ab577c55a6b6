package manager

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestIdleRescan looks at a hundred plugins and a hundred PHP files where nothing has
// changed: without a process, without reading them, and in silence.
func TestIdleRescan(t *testing.T) {
	const n = 100
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	files, ini := map[string]string{}, "count = 0\nauto_update = 1\n"
	for i := range n {
		files[fmt.Sprintf("php%d.php", i)] = fmt.Sprintf("<?php // %d", i)
		files[fmt.Sprintf("go%d", i)] = fmt.Sprintf("#!/bin/sh\n%s=go%d exec %s \"$@\"\n", functionEnv, i, self)
		ini += fmt.Sprintf("[go%d]\nmode = plugin\ndedicated_count = 1\n[php%d]\ndedicated_count = 1\n", i, i)
	}
	c := newChanging(t, ini, files)
	ctx := t.Context()
	c.library = newLibrary(nil, c.Describer(), c.Inspector(), c.emit)
	f := c.lookWith(ctx, c.cfg.Settings, nil, lookAt{code: true})
	if len(f.plan.Pools) != 2*n || len(f.problems) > 0 {
		t.Fatalf("%d pools, problems %v", len(f.plan.Pools), f.problems)
	}
	var least time.Duration
	for range 5 {
		before, began := cpu(t), time.Now()
		next := c.lookWith(ctx, c.cfg.Settings, f.programs, lookAt{code: true, settled: true})
		took := time.Since(began)
		t.Logf("looked for %v, with %v of processor time", took, cpu(t)-before)
		for i := range f.plan.Pools {
			if what := changesOf(&f.plan.Pools[i], &next.plan.Pools[i]); len(what) > 0 {
				t.Errorf("changes %v", what)
			}
		}
		if least == 0 || took < least {
			least = took
		}
	}
	if least > time.Second {
		t.Errorf("the quickest look took %v", least)
	}
	if events := happened[ProblemFound](c.fleet); len(events) > 0 {
		t.Errorf("events %v", events)
	}
}

// cpu is the processor time of this process and the children that have ended.
func cpu(t *testing.T) (used time.Duration) {
	t.Helper()
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			t.Fatal(err)
		}
		used += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return used
}
