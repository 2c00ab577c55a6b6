package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// brokenWorkers writes a plugin and a PHP file that end before they are ready, and
// returns the plugin's path.
func (f *lifeFleet) brokenWorkers() (plugin string) {
	f.tb.Helper()
	good, err := os.ReadFile(filepath.Join(bin, "life/life"))
	if err != nil {
		f.tb.Fatal(err)
	}
	plugin = filepath.Join(f.dir, "broken/life")
	if err := os.Mkdir(filepath.Join(f.dir, "broken"), 0o755); err != nil {
		f.tb.Fatal(err)
	}
	f.write(plugin, append(good, "BROKEN"...))
	f.write(filepath.Join(f.dir, "broken/brokenphp.php"), []byte("<?php\nif (getenv('GEARMAN_WORKER') !== false) { fwrite(STDERR, \"broken\\n\"); posix_kill(getmypid(), SIGKILL); }\nfunction brokenphp($job) { return 'mended'; }\n"))
	return plugin
}

// write replaces a file at once, as a deployment does.
func (f *lifeFleet) write(path string, text []byte) {
	f.tb.Helper()
	if err := os.WriteFile(path+".new", text, 0o755); err != nil {
		f.tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.tb.Fatal(err)
	}
}

// TestCrashLoop has workers of several kinds that die before they are ready, beside a
// function that works: each attempt has one line, the tries have their delays, and end
// after start_retries. They come back when a file is mended, or when it is said so.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	f := newLife(t, "php")
	plugin := f.brokenWorkers()
	marker := filepath.Join(f.dir, "mended")
	f.startLife("worker_dir = " + filepath.Dir(plugin) + "\ninclude = pid,brokenphp,alone,good\nstart_retries = 3\n" +
		"[good]\ncommand = cat\ndedicated_count = 1\ndedicated_only = 1\n" +
		"[alone]\nmode = standalone\ncommand = sh -c 'test -e " + marker + " && exec sleep 100; exit 4'\ncount = 1\n")
	pools := []string{"pid", "brokenphp", "alone"}
	f.waitSaid("pool has failed", len(pools))
	if got, err := f.do("good", "x"); got != "x" {
		t.Errorf("the healthy function: %q, %v", got, err)
	}
	for _, pool := range pools {
		f.wantTries(pool)
		if p := f.pool(pool); !p.GivenUp || p.Failures != 4 {
			t.Errorf("%s: status says given up %v after %d failures, want 4", pool, p.GivenUp, p.Failures)
		}
	}
	if text := f.ask("status"); !strings.Contains(text, "pid") {
		t.Errorf("status:\n%s", text)
	}
	good, err := os.ReadFile(filepath.Join(bin, "life/life"))
	if err != nil {
		t.Fatal(err)
	}
	f.write(plugin, good)
	f.write(filepath.Join(filepath.Dir(plugin), "brokenphp.php"), []byte("<?php\nfunction brokenphp($job) { return 'mended'; }\n"))
	f.waitRegistered(map[string]int{"pid": 1, "brokenphp": 1})
	if got, err := f.do("brokenphp", "x"); got != "mended" {
		t.Errorf("the mended function: %q, %v", got, err)
	}
	f.write(marker, nil) // nobody can know that the program depends on it
	f.ask("retry", "alone")
	f.waitPool("alone", "the worker to be ready", func() bool {
		p := f.pool("alone")
		return !p.GivenUp && len(p.Workers) == 1 && p.Workers[0].State == "ready"
	})
	f.stopLife()
}

// wantTries looks that a pool was tried four times, with a line for each, none
// beside them, and with the delays that are documented.
func (f *lifeFleet) wantTries(pool string) {
	f.tb.Helper()
	of := f.lines(func(l logLine) bool { return l.text("pool") == pool })
	full, waited := 100*time.Millisecond, time.Duration(0)
	tries := 0
	for _, l := range of {
		if l.message() == "pool has failed" {
			continue
		}
		tries++
		if m := l.message(); m != "worker did not start" && m != "worker crashed" {
			f.tb.Errorf("%s: a line beside those of the tries: %v", pool, l)
		}
		if tries == 4 {
			continue // there is no next one
		}
		wait := time.Duration(l.number("next_try_in_ms")) * time.Millisecond
		// Half of each delay is random, and it is counted from a moment before the line.
		if wait < full/2-full/5 || wait > full {
			f.tb.Errorf("%s: try %d: the next one in %v, want %v to %v", pool, tries, wait, full/2, full)
		}
		full, waited = 2*full, waited+wait
	}
	if tries != 4 || len(of) != 5 {
		f.tb.Errorf("%s: %d lines for %d tries, want one for each of 4 and one that it has failed: %v", pool, len(of), tries, of)
	}
	f.tb.Logf("%s: waited %v between its tries", pool, waited)
}

// waitPool waits until something holds for a pool.
func (f *lifeFleet) waitPool(pool, what string, cond func() bool) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, fmt.Sprintf("%s of %s", what, pool), cond)
}
