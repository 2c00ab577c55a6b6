package supervisor_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

func writeCounter(path string, count int) {
	// As in memory.events, whose lines begin alike.
	text := fmt.Sprintf("low 0\noom 77\noom_kill %d\noom_group_kill 88\n", count)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
}

func TestKillsForLackOfMemoryAreCounted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memory.events")
	writeCounter(path, 3)
	kills := supervisor.NewOOMKills(path)
	now := time.Unix(1000, 0)
	for i, step := range []struct {
		count int           // what the counter says
		later time.Duration // since the step before
		want  bool
	}{
		{3, 0, false},
		{4, 0, true},
		{4, 0, false}, // explained already
		{7, 0, true},  // three at once: each explains one death
		{7, 9 * time.Second, true},
		{7, 2 * time.Second, false}, // the third was somebody else's
		{8, time.Hour, true},
		{10, 0, true},
		{11, 11 * time.Second, true}, // one of the two before is too old, the new one counts
		{11, 0, false},
		{0, 0, false}, // the group is another one
		{1, 0, true},
	} {
		writeCounter(path, step.count)
		now = now.Add(step.later)
		if got := kills.Claim(now); got != step.want {
			t.Errorf("step %d: counter %d: %v", i, step.count, got)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if kills.Claim(now) {
		t.Error("explained by no file")
	}
}

func TestWhereKillsAreCounted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"memory/app/x", "system.slice/gm.service"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for groups, want := range map[string][]string{
		"0::/system.slice/gm.service\n":             {"system.slice/gm.service/memory.events"},
		"0::/not/visible/here\n":                    {"memory.events"},
		"9:name=systemd:/\n4:memory:/app/x\n0::/\n": {"memory/app/x/memory.oom_control", "memory.events"},
		"4:memory:/docker/abc\n":                    {"memory/memory.oom_control"},
		"":                                          nil,
		"nonsense\n":                                nil,
	} {
		var got []string
		for _, path := range supervisor.GroupCounters([]byte(groups), root) {
			got = append(got, strings.TrimPrefix(path, root+"/"))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", groups, got, want)
		}
	}
}

func TestOutOfMemoryInWords(t *testing.T) {
	t.Parallel()
	e := supervisor.Exit{Code: -1, Signal: syscall.SIGKILL, OOM: true}
	if got, want := e.String(), "killed by SIGKILL (out of memory)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDeathsForLackOfMemory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memory.events")
	writeCounter(path, 10)
	playAlone(t, "out of memory", path)
}

// outOfMemory is a supervisor whose counter of kills is a file of the test.
func outOfMemory(args []string) int {
	path := args[0]
	sup := supervisor.NewCounting(supervisor.Config{}, path)
	defer stop(sup)
	kernel := func(p *supervisor.Process) { _ = syscall.Kill(p.PID(), syscall.SIGKILL) }
	for _, c := range []struct {
		name  string
		count int
		end   func(*supervisor.Process)
		want  bool
	}{
		{"by the kernel", 11, kernel, true},
		{"by somebody", 11, kernel, false},
		{"Kill", 12, func(p *supervisor.Process) { _ = p.Kill() }, false},
		{"SIGKILL", 12, func(p *supervisor.Process) { _ = p.Signal(syscall.SIGKILL) }, false},
		{"SIGTERM", 12, func(p *supervisor.Process) { _ = p.Signal(syscall.SIGTERM) }, false},
		{"after another signal", 12, func(p *supervisor.Process) { _ = p.Signal(syscall.SIGCONT); kernel(p) }, true},
	} {
		if got := killedBy(sup, path, c.count, 1, c.end); (got == 1) != c.want {
			complain("%s: %v", c.name, got)
		}
	}
	for range 20 {
		writeCounter(path, 0)
		killedBy(sup, path, 0, 1, kernel)
		if got := killedBy(sup, path, 3, 8, kernel); got != 3 {
			complain("3 of 8 deaths at once were for lack of memory, told of %d", got)
		}
	}
	return 0
}

// killedBy starts processes, ends each and counts those that are said to have died
// for lack of memory.
func killedBy(sup *supervisor.Supervisor, path string, count, processes int, end func(*supervisor.Process)) (told int) {
	var all []*supervisor.Process
	for range processes {
		p, err := sup.Start(sh("exec sleep 300"))
		if err != nil {
			complain("%v", err)
			return -1
		}
		all = append(all, p)
	}
	writeCounter(path, count)
	for _, p := range all {
		end(p)
	}
	for _, p := range all {
		awaitExit(p)
		if p.Exit().OOM {
			told++
		}
	}
	return told
}

// hoggedMemory is what the group of the next test may have.
const hoggedMemory = 300 << 20

// With a control group of our own the kernel itself kills. Where none can be made, which
// is so in most containers and cannot be mended by a package, there is nothing to look
// at: the counters are tested by files above.
func TestTheKernelKillsForLackOfMemory(t *testing.T) {
	t.Parallel()
	dir, err := memoryGroup(t)
	if err != nil {
		t.Logf("not looked at: %v", err)
		return
	}
	playAlone(t, "hogged", dir)
}

var errNoGroup = errors.New("no control group with a limit of memory can be made here")

// memoryGroup makes a control group with little memory below our own, if that is
// allowed.
func memoryGroup(t *testing.T) (dir string, err error) {
	t.Helper()
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for _, counter := range supervisor.GroupCounters(groups, "/sys/fs/cgroup") {
		limit := "memory.max"
		if filepath.Base(counter) == "memory.oom_control" {
			limit = "memory.limit_in_bytes"
		}
		dir := filepath.Join(filepath.Dir(counter), fmt.Sprintf("supervisor-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o700) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		limit = filepath.Join(dir, limit)
		if _, err := os.Stat(limit); err != nil {
			continue // of a kind without limits of memory
		}
		return dir, os.WriteFile(limit, fmt.Append(nil, hoggedMemory), 0o600)
	}
	return "", errNoGroup
}

// hogged is a supervisor in a group with little memory.
func hogged(args []string) int {
	if err := os.WriteFile(filepath.Join(args[0], "cgroup.procs"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		complain("enter the control group: %v", err)
		return 1
	}
	sup := mustNew(supervisor.Config{})
	defer stop(sup)
	for _, name := range []string{"hog", "hog", "exit"} {
		p, err := sup.Start(child(name, "5"))
		if err != nil {
			complain("%v", err)
			return 1
		}
		awaitExit(p)
		if e := p.Exit(); e.OOM != (name == "hog") {
			complain("%s %v", name, e)
		}
	}
	if got := killedBy(sup, "/dev/null", 0, 1, func(p *supervisor.Process) { _ = syscall.Kill(p.PID(), syscall.SIGKILL) }); got != 0 {
		complain("somebody's SIGKILL is told as a lack of memory")
	}
	return 0
}

// hog takes memory until it is killed, and offers itself for that.
func hog([]string) int {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600); err != nil {
		complain("%v", err)
	}
	var all [][]byte
	for range 4 * hoggedMemory >> 20 {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 512 {
			block[i] = 1
		}
		all = append(all, block)
	}
	return len(all) % 2
}
