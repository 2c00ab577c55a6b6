package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// stormFleet is a fleet that is looked at from outside while its processes are killed.
type stormFleet struct {
	*phpFleet
	runtime string // its runtime_dir
	config  string

	mu    sync.Mutex
	names map[child]string // of the workers that were seen
}

// newStorm prepares a fleet with workers of any kind.
func newStorm(tb testing.TB) *stormFleet {
	tb.Helper()
	php := testutil.Need(tb, "php", "php-cli")
	runtime, err := os.MkdirTemp("", "storm-") //nolint:usetesting // paths of sockets have to be short
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(runtime) }) // a temporary directory
	return &stormFleet{phpFleet: phpFleetOf(tb, php, newFleet(tb)), runtime: runtime, names: map[child]string{}}
}

// stormProgram builds the worker of these tests and returns its path.
func stormProgram(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "storm")
	build := exec.CommandContext(tb.Context(), "go", "build", "-o", path, "./torture/storm")
	if text, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build torture/storm: %v\n%s", err, text)
	}
	return path
}

// startStorm starts the manager with lines of [GearmanManager] and of sections, in
// which STORM, PERFORM and PHP/ stand for the worker, the executable and the directory
// of PHP files. It may be called again after the manager has ended.
func (f *stormFleet) startStorm(ini string, env ...string) {
	f.tb.Helper()
	f.writeConfig("config.ini", f.fill(ini))
	f.tb.Cleanup(f.killPHP) // runs after the manager has been killed
	f.run(f.dir, env, "-c", f.config, "--log-format", "json", "-v")
}

// fill replaces what stands for something in a config.
func (f *stormFleet) fill(ini string) string {
	f.tb.Helper()
	perform, err := filepath.Abs("torture/storm/perform.sh")
	if err != nil {
		f.tb.Fatal(err)
	}
	if strings.Contains(ini, "STORM") {
		storm := stormProgram(f.tb)
		ini = strings.NewReplacer("STORMS", filepath.Dir(storm), "STORM", storm).Replace(ini)
	}
	ini = strings.NewReplacer("PERFORM", perform, "PHP/", f.sources+"/").Replace(ini)
	return "[GearmanManager]\nhost = " + f.server.Addr() + "\nruntime_dir = " + f.runtime + "\n" + ini
}

// writeConfig writes the config.
func (f *stormFleet) writeConfig(name, text string) {
	f.tb.Helper()
	f.config = filepath.Join(f.dir, name)
	if err := os.WriteFile(f.config, []byte(text), 0o600); err != nil {
		f.tb.Fatal(err)
	}
}

// fleetStatus asks the manager for the fleet, as the command does.
func (f *stormFleet) fleetStatus() control.Status {
	f.tb.Helper()
	cmd := exec.CommandContext(f.ctx(), filepath.Join(bin, "gearman-manager"), "status", "--json", "-c", f.config)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		f.tb.Fatalf("gearman-manager status: %v: %s", err, stderr.String())
	}
	var s control.Status
	if err := json.Unmarshal(out, &s); err != nil {
		f.tb.Fatal(err)
	}
	return s
}

// child is a process that another has to wait for.
type child struct {
	pid, parent int
	start       string // when it was started, which tells it from another of its number
}

// childState is a letter, see proc_pid_stat(5).
type childState byte

// dead tells whether only the process's status is left.
func (s childState) dead() bool { return s == 'Z' || s == 'X' }

// readChild reads what the kernel says of a process; ok is false if there is none.
func readChild(pid int) (c child, state childState, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	end := bytes.LastIndexByte(text, ')') // the name before it may hold anything
	if err != nil || end < 0 {
		return child{}, 0, false
	}
	fields := strings.Fields(string(text[end+1:])) // the first is number 3 of proc_pid_stat(5)
	if len(fields) < 20 {
		return child{}, 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return child{pid: pid, parent: parent, start: fields[19]}, childState(fields[0][0]), err == nil
}

// childrenOf lists the children of a process, and those of which only the status is
// left.
func childrenOf(tb testing.TB, parent int) (alive, dead []child) {
	tb.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		tb.Error(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		switch c, state, ok := readChild(pid); {
		case !ok || c.parent != parent:
		case state.dead():
			dead = append(dead, c)
		default:
			alive = append(alive, c)
		}
	}
	return alive, dead
}

// name is the worker that a child of the manager is; empty if it is none. Programs
// that are workers by themselves are known by their environment, all others by what
// they are called.
func (c child) name() string {
	proc := fmt.Sprintf("/proc/%d/", c.pid)
	cmd, _ := os.ReadFile(proc + "cmdline") // it may have ended
	text := strings.TrimRight(strings.ReplaceAll(string(cmd), "\x00", " "), " ")
	if worker, ok := strings.CutPrefix(text, title); ok {
		worker, _, _ = strings.Cut(worker, " ")
		if strings.Contains(worker, "/") {
			return worker
		}
		return ""
	}
	env, _ := os.ReadFile(proc + "environ")
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if worker, ok := bytes.CutPrefix(entry, []byte("GEARMAN_WORKER=")); ok {
			return string(worker)
		}
	}
	return ""
}

// census lists the workers that are alive at one moment, by process, and the children
// of the manager that wait to be waited for. Workers that were started while it looked
// may be missing.
func (f *stormFleet) census() (alive map[int]string, zombies []int) {
	f.tb.Helper()
	seen, dead := childrenOf(f.tb, f.cmd.Process.Pid)
	for _, c := range dead {
		zombies = append(zombies, c.pid)
	}
	// This is the moment: all were seen before it, and those that are seen again lived.
	alive = map[int]string{}
	for _, c := range seen {
		if again, state, ok := readChild(c.pid); ok && !state.dead() && again == c {
			if name := f.nameOf(c); name != "" {
				alive[c.pid] = name
			}
		}
	}
	return alive, zombies
}

// nameOf is the worker that a child is. It does not change, once it has one.
func (f *stormFleet) nameOf(c child) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := f.names[c]
	if name == "" {
		if name = c.name(); name != "" {
			f.names[c] = name
		}
	}
	return name
}

// byPool counts workers by the name of their pool.
func byPool(workers map[int]string) map[string]int {
	n := map[string]int{}
	for _, worker := range workers {
		pool, _, _ := strings.Cut(worker, "/")
		n[pool]++
	}
	return n
}

// hold is what the manager holds of the system.
type hold struct {
	descriptors map[string]int // by what they are, with no digits
	files       map[string]int // in its runtime directory, likewise
	threads     int
	memory      int // KiB that are resident
}

// stormDigits are what differs between files and sockets of a kind.
var stormDigits = regexp.MustCompile(`[0-9]+`)

// holds looks at what the manager holds.
func (f *stormFleet) holds() hold {
	f.tb.Helper()
	proc := fmt.Sprintf("/proc/%d/", f.cmd.Process.Pid)
	h := hold{descriptors: map[string]int{}, files: map[string]int{}}
	for _, entry := range f.list(proc + "fd") {
		if what, err := os.Readlink(proc + "fd/" + entry.Name()); err == nil {
			h.descriptors[stormDigits.ReplaceAllString(what, "N")]++
		}
	}
	h.threads = len(f.list(proc + "task"))
	_ = filepath.WalkDir(f.runtime, func(path string, _ os.DirEntry, _ error) error { // what is just gone counts as gone
		name, _ := filepath.Rel(f.runtime, path)
		h.files[stormDigits.ReplaceAllString(name, "N")]++
		return nil
	})
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		f.tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			h.memory, _ = strconv.Atoi(strings.Fields(text)[0])
		}
	}
	return h
}

func (f *stormFleet) list(dir string) []os.DirEntry {
	f.tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.tb.Fatal(err)
	}
	return entries
}

// more lists what there is more of than there was.
func more(was, is map[string]int) []string {
	var grown []string
	for _, what := range slices.Sorted(maps.Keys(is)) {
		if is[what] > was[what] {
			grown = append(grown, fmt.Sprintf("%s: %d, were %d", what, is[what], was[what]))
		}
	}
	return grown
}

// everybody lists all processes that come from the manager, itself included, but no
// zombies.
func (f *stormFleet) everybody() map[int]string {
	f.tb.Helper()
	all := map[int]string{}
	for _, p := range f.processes() {
		all[p.PID] = p.Cmd
	}
	for _, p := range f.phpProcesses() {
		all[p.PID] = p.Cmd
	}
	return all
}

// stopStorm stops the fleet with SIGTERM, and looks that nothing is left of it.
func (f *stormFleet) stopStorm() {
	f.tb.Helper()
	f.signal(syscall.SIGTERM)
	took := f.waitExit()
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		f.tb.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	f.waitNoPHP()
	if _, err := os.Stat(f.runtime); err == nil {
		for _, entry := range f.list(f.runtime) {
			f.tb.Errorf("%s was left in the runtime directory", entry.Name())
		}
	}
	f.tb.Logf("stopped in %v", took)
}
