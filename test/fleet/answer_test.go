package fleet

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// twenty is a config with twenty slots.
const twenty = `[GearmanManager]
worker_dir = PLUGINS,EXAMPLES
host = SERVER
include = reverse,countdown,wordcount,wc
dedicated_count = 5

[wc]
command = wc -l
`

// TestDebianToolsAreAnswered has jobs done that Debian's own client submits,
// and compares the server's view of the fleet with the plan.
func TestDebianToolsAreAnswered(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.start(twenty)
	took := f.waitRegistered(map[string]int{"reverse": 5, "countdown": 5, "wordcount": 5, "wc": 5})
	t.Logf("20 workers registered %v after the start", took)

	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	lines := fmt.Sprintln(bytes.Count(passwd, []byte{'\n'}))
	if got := f.tool(passwd, "gearman", "-f", "wc"); got != lines {
		t.Errorf("wc of /etc/passwd: %q, want %q", got, lines)
	}
	if got := f.tool([]byte("Hello World!"), "gearman", "-f", "reverse"); got != "!dlroW olleH" {
		t.Errorf("reverse: %q", got)
	}
	if got := f.tool([]byte("3"), "gearman", "-f", "countdown"); !strings.Contains(got, "lift-off") {
		t.Errorf("countdown: %q", got)
	}
	f.checkClientIDs()
}

// checkClientIDs checks that gearadmin names each worker as host/pool/number.
func (f *fleet) checkClientIDs() {
	host, err := os.Hostname()
	if err != nil {
		f.tb.Fatal(err)
	}
	list := f.tool(nil, "gearadmin", "--workers")
	for _, pool := range []string{"reverse", "countdown", "wordcount", "wc"} {
		for n := 1; n <= 5; n++ {
			id := fmt.Sprintf(" %s/%s/%d : %s", host, pool, n, pool)
			if !slices.ContainsFunc(strings.Split(list, "\n"), func(line string) bool { return strings.HasSuffix(line, id) }) {
				f.tb.Errorf("gearadmin --workers does not name %q:\n%s", id, list)
			}
		}
	}
}

// TestProcessesSayWhatTheyAre looks at the fleet as ps does.
func TestProcessesSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.start(twenty)
	f.waitRegistered(map[string]int{"reverse": 5, "wc": 5})
	names := map[string]bool{}
	for _, p := range f.processes() {
		names[p.Cmd] = true
	}
	for _, want := range []string{"gearman-manager: reverse/1", "gearman-manager: reverse/5", "gearman-manager: wc/1"} {
		if !slices.ContainsFunc(f.processes(), func(p testutil.Process) bool { return strings.HasPrefix(p.Cmd, want) }) {
			t.Errorf("no process says %q: %v", want, names)
		}
	}
}

// TestIdleManagerSleeps counts how often the manager wakes while nothing
// happens. Less than once a second is wanted, as everything else is power that
// a fleet of many machines pays for.
func TestIdleManagerSleeps(t *testing.T) {
	f := newFleet(t)
	f.start(twenty)
	f.waitRegistered(map[string]int{"reverse": 5, "countdown": 5, "wordcount": 5, "wc": 5})
	const seconds = 10
	for range 6 { // the runtime gives memory of the start back for a while
		before := testutil.ContextSwitches(t, f.cmd.Process.Pid)
		testutil.Pause(t, seconds)
		switches := testutil.ContextSwitches(t, f.cmd.Process.Pid) - before
		t.Logf("%d voluntary context switches in %d s", switches, seconds)
		if switches < seconds {
			return
		}
	}
	t.Error("the idle manager never stays under one voluntary context switch a second")
}

// TestStopWithIdleWorkers stops a fleet that has nothing to do.
func TestStopWithIdleWorkers(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.start(strings.Replace(twenty, "= 5", "= 25", 1) + "\n[none]\n")
	f.waitRegistered(map[string]int{"reverse": 25, "countdown": 25})
	f.signal(syscall.SIGTERM)
	took := f.waitExit()
	t.Logf("50 idle plugin workers and 50 exec slots: gone after %v", took)
	if took.Seconds() > 5 {
		t.Errorf("idle workers took %v to leave, 0.5 s is wanted and ten times that allowed", took)
	}
	f.waitNobody()
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	if strings.Contains(f.log.String(), "killed") {
		t.Errorf("workers were killed:\n%s", f.log)
	}
}

// TestStopFinishesTheJobInHand stops a fleet with a job of 3 s in hand.
func TestStopFinishesTheJobInHand(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.start("[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER\ninclude = sleep\ndedicated_count = 2\n")
	f.waitRegistered(map[string]int{"sleep": 2})
	answer := f.async("sleep", "3000")
	f.waitRunning("sleep", 1)
	f.signal(syscall.SIGTERM)
	f.waitExit()
	if r := <-answer; r.err != nil {
		t.Errorf("the job in hand was not answered: %v", r.err)
	}
	f.waitNobody()
}
