package fleet

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// limitLines are those of /proc/PID/limits that the config of TestLimitsOfTheKernel
// asks for, without their spaces.
func limitLines() []string {
	return []string{"Max open files 321 321 files", "Max core file size 0 0 bytes"}
}

// wantLimits looks for them in what a process has, or has answered.
func wantLimits(tb testing.TB, what, limits string) {
	tb.Helper()
	var lines []string
	for line := range strings.Lines(limits) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	all := strings.Join(lines, "\n")
	for _, want := range limitLines() {
		if !strings.Contains(all, want) {
			tb.Errorf("%s: want %q in\n%s", what, want, limits)
		}
	}
}

// niceOf reads the priority of a process, see proc_pid_stat(5).
func niceOf(tb testing.TB, stat string) string {
	tb.Helper()
	_, rest, _ := strings.Cut(stat, ") ")
	fields := strings.Fields(rest)
	if len(fields) < 17 {
		tb.Fatalf("stat: %q", stat)
	}
	return fields[16] // the 19th of all
}

// TestLimitsOfTheKernel looks what the kernel holds the workers of every kind to, and
// what they start.
func TestLimitsOfTheKernel(t *testing.T) {
	t.Parallel()
	standalone := lifeKind{name: "standalone", global: "worker_dir = DIR\n", section: "mode = standalone\ncommand = sleep 100\n"}
	for _, k := range append(lifeKinds(), standalone) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newLife(t, k.name)
			f.startKind(k, "rlimit_nofile = 321\nrlimit_core = 0\nnice = 7\n", "dedicated_count = 2\n")
			f.waitPIDs("act", k)
			for name, pid := range f.pids("act") {
				proc := fmt.Sprintf("/proc/%d/", pid)
				limits, err := os.ReadFile(proc + "limits")
				if err != nil {
					t.Fatal(err)
				}
				wantLimits(t, name, string(limits))
				stat, err := os.ReadFile(proc + "stat")
				if err != nil {
					t.Fatal(err)
				}
				if nice := niceOf(t, string(stat)); nice != "7" {
					t.Errorf("%s: nice is %s, want 7", name, nice)
				}
			}
			if k.name != "standalone" {
				text, err := f.do("act", "limits - ")
				if err != nil {
					t.Error(err)
				}
				wantLimits(t, "what performs the job", text)
				if k.name == "exec" && niceOf(t, text) != "7" {
					t.Errorf("the executable: want nice 7 in %s", text)
				}
			}
			f.stopLife()
		})
	}
}

// waitPIDs waits until the workers of a pool run.
func (f *lifeFleet) waitPIDs(pool string, k lifeKind) {
	f.tb.Helper()
	if k.name == "standalone" { // what it registers is its own affair
		f.waitSaid("fleet started", 1)
		f.waitPool(pool, "all workers to run", func() bool { return len(f.pids(pool)) == 2 })
		return
	}
	f.waitRegistered(map[string]int{pool: 2})
}
