package fleet

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestPHPVersionIsPinned overwrites a worker file, and what it includes, while
// workers run: what they run, and what their successors run, stays the same
// until the manager starts again.
func TestPHPVersionIsPinned(t *testing.T) {
	t.Parallel()
	f := newPHPFleet(t)
	f.writeVersion("one")
	f.startPHP(phpSetup{}, "worker_dir = DIR/versions\ndedicated_count = 2\n")
	f.waitAll("version", 2)
	f.wantPHP("version", "", "one one")
	f.writeVersion("two")
	f.wantPHP("version", "", "one one")
	f.killAll("version", 2)
	for range 4 {
		f.wantPHP("version", "", "one one")
	}
	f.write("versions/version.php", "<?php this is no PHP")
	f.killAll("version", 2)
	f.wantPHP("version", "", "one one")
	f.stopPHP()

	f.writeVersion("two")
	f.startPHP(phpSetup{}, "worker_dir = DIR/versions\ndedicated_count = 2\n")
	f.waitAll("version", 2)
	f.wantPHP("version", "", "two two")
	f.stopPHP()
}

// writeVersion writes a worker file of some version, and what it includes.
func (f *phpFleet) writeVersion(name string) {
	f.tb.Helper()
	f.write("versions/inc/more.php", fmt.Sprintf("<?php const MORE = %q;\n", name))
	f.write("versions/version.php", fmt.Sprintf(
		"<?php\nrequire_once __DIR__ . '/inc/more.php';\nfunction version($job, &$log) { return %q . ' ' . MORE; }\n", name))
}

// TestPHPTopLevelBelongsToWorker has a worker file open a file where it is
// loaded: each worker has its own, and reads its first line first.
func TestPHPTopLevelBelongsToWorker(t *testing.T) {
	t.Parallel()
	for _, setup := range phpSetups() {
		if strings.Contains(setup.ini, "php_preload") {
			continue // that is the danger of it
		}
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = opens\ndedicated_count = 3\n")
			f.waitAll("opens", 3)
			lines := map[string]int{} // read so far, by process
			for range 6 {
				f.wantOwnLine(lines)
			}
			f.killAll("opens", 3)
			clear(lines)
			f.wantOwnLine(lines)
			f.stopPHP()
		})
	}
}

// wantOwnLine has a worker read the next line of its file.
func (f *phpFleet) wantOwnLine(lines map[string]int) {
	f.tb.Helper()
	got, err := f.do("opens", "")
	fields := strings.Fields(got)
	all := []string{"one", "two", "three", "four"}
	if err != nil || len(fields) < 2 || fields[0] != fields[1] {
		f.tb.Errorf("opens: %q, %v; want the worker to have opened the file itself", got, err)
		return
	}
	n := lines[fields[0]]
	lines[fields[0]]++
	if n < len(all) && (len(fields) != 3 || fields[2] != all[n]) {
		f.tb.Errorf("opens: %q, want line %q of its own file", got, all[n])
	}
}

// TestPHPInterpreterMissing names an interpreter that is not there: one line
// says so, and what is not PHP runs.
func TestPHPInterpreterMissing(t *testing.T) {
	t.Parallel()
	f := newPHPFleet(t)
	f.startPHP(phpSetup{}, "php = /no/such/php\nworker_dir = PHP/workers,"+filepath.Join(bin, "plugins")+"\ninclude = echo,reverse,Tally,typed\n")
	f.waitAll("echo", 1)
	f.wantPHP("echo", "x", "x")
	f.waitLog("/no/such/php")
	if n := strings.Count(f.log.String(), "/no/such/php"); n > 2 {
		f.tb.Errorf("%d lines name the interpreter that is missing:\n%s", n, f.log)
	}
	f.stopPHP()
}
