package fleet

import (
	"strings"
	"testing"
	"time"
)

// memoryKinds are those whose workers hold the memory of their jobs.
func memoryKinds() []lifeKind { return []lifeKind{lifeKindOf("plugin"), lifeKindOf("php")} }

// TestLeakingWorkersAreReplaced has each job keep 10 MB where 100 MB are allowed: each
// worker is replaced after a few jobs, none of which fails, without a dip.
func TestLeakingWorkersAreReplaced(t *testing.T) {
	t.Parallel()
	for _, k := range memoryKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newLife(t, k.name)
			f.startKind(k, "max_memory = 100M\n", "dedicated_count = 2\n", "-v")
			f.waitRegistered(map[string]int{"act": 2})
			stop := f.watchRegistered("act")
			byPID, took := f.load("act", "leak - ", 100, 4)
			fewest, most, _ := stop()
			t.Logf("100 jobs in %v by %d processes; between %d and %d registered: %v", took, len(byPID), fewest, most, byPID)
			if fewest < 2 || most > 3 {
				t.Errorf("between %d and %d workers were registered, want 2 and 3", fewest, most)
			}
			for pid, n := range byPID {
				if n > 11 {
					t.Errorf("process %s did %d jobs with 10 MB each", pid, n)
				}
			}
			if ends := f.ends(); len(ends) != 0 {
				t.Errorf("ends that were not planned: %v", ends)
			}
			retired := f.lines(func(l logLine) bool { return l.message() == "worker retires" && l.text("reason") == "max_memory" })
			if len(retired) < len(byPID)-2 {
				t.Errorf("%d workers are said to retire for their memory, want at least %d", len(retired), len(byPID)-2)
			}
			f.stopLife()
		})
	}
}

// TestHardMemoryLimit has a job take a gigabyte at once, and another one grow, where
// 200 MB are allowed: only they suffer, not those that other workers have in hand.
func TestHardMemoryLimit(t *testing.T) {
	t.Parallel()
	for _, k := range memoryKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newLife(t, k.name)
			f.startLife("include = act,pid\nmax_memory_hard = 200M\n"+k.global+"[act]\ndedicated_count = 3\n[pid]\ndedicated_count = 2\n", "-v")
			f.waitRegistered(map[string]int{"act": 3, "pid": 2})
			var beside []<-chan answer
			for range 2 {
				beside = append(beside, f.async("pid", "3000"))
			}
			f.waitRunning("pid", 2)
			for _, word := range []string{"big", "grow"} {
				runs := f.newNotes(word)
				text, took, err := f.act(word, runs)
				f.wantException(word, text, err)
				t.Logf("%s: %v, %d runs: %v", word, took.Round(time.Millisecond), len(runs.runs(t)), err)
				runs.wantRuns(t, 1, 4)
				f.waitRegistered(map[string]int{"act": 3})
			}
			for _, c := range beside {
				if a := <-c; a.err != nil {
					t.Errorf("a job in hand of another worker: %q, %v", a.text, a.err)
				}
			}
			if crashed := f.lines(func(l logLine) bool { return strings.HasPrefix(l.text("worker"), "pid/") && l["level"] == "warn" }); len(crashed) != 0 {
				t.Errorf("workers beside were hurt: %v", crashed)
			}
			f.stopLife()
		})
	}
}
