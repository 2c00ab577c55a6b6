package fleet

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// TestHangup sends the signals of log rotation to the program: SIGUSR1 reopens the log
// and leaves the workers alone, SIGHUP does so too and replaces them one by one.
func TestHangup(t *testing.T) {
	t.Parallel()
	f := newReload(t)
	f.putThree(f.workers, "v1")
	log := filepath.Join(f.dir, "log")
	f.configure(strings.Replace(threeKinds, "auto_update = 1", "auto_update = 0\nlog_file = "+log, 1))
	f.runProgram()
	want := map[string]int{"plug": 2, "script": 2, "tool": 2}
	f.waitRegistered(want)
	f.load("plug", 3, 0.02)
	f.load("script", 3, 0.02)
	f.load("tool", 3, 0.05)
	f.record()

	began := f.seen.mark()
	old := f.answering(began)
	f.move(log, log+".1")
	f.signal(syscall.SIGUSR1)
	testutil.WaitFor(t, "a new log", func() bool { return exists(log) })
	testutil.Pause(t, 1)
	for function, pids := range f.answering(time.Now()) {
		if !slices.Equal(pids, old[function]) {
			t.Errorf("%s: workers %v after SIGUSR1, were %v", function, pids, old[function])
		}
		f.seen.wantNeverBelow(function, 2)
	}

	// The hangup takes a changed config and changed code too.
	f.seen.mark()
	f.put("plug", "v2")
	f.set("script", "dedicated_count", "3")
	f.move(log, log+".2")
	f.signal(syscall.SIGHUP)
	testutil.WaitFor(t, "a new log", func() bool { return exists(log) })
	f.waitRegisteredAtLeast("script", 3)
	testutil.WaitFor(t, "all workers to be new", func() bool {
		for function, pids := range f.answering(time.Now()) {
			if slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(old[function], pid) }) {
				return false
			}
		}
		return true
	})
	f.waitRegistered(map[string]int{"plug": 2, "script": 3, "tool": 2})
	for function, n := range want {
		f.seen.wantNeverBelow(function, n)
	}
	begun := f.loadOf("plug").begun()
	testutil.WaitFor(t, "the new version", func() bool { return f.loadOf("plug").last("v2") > begun })
	f.endLoads()
	f.seen.stop()
	f.wantOnce()
	f.stopPHP()
}

// exists tells whether there is a file.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// answering are the processes that answer jobs of each function which were asked for
// after a moment, as many jobs as show all of them.
func (f *reloadFleet) answering(since time.Time) map[string][]int {
	f.tb.Helper()
	found := map[string][]int{}
	for _, function := range loadedFunctions() {
		l := f.loadOf(function)
		var pids map[int]int
		testutil.WaitFor(f.tb, "answers of "+function, func() bool {
			pids = l.byPID(since)
			total := 0
			for _, n := range pids {
				total += n
			}
			return total >= 20
		})
		found[function] = slices.Sorted(maps.Keys(pids))
	}
	return found
}
