package testutil

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Process is a process of the system.
type Process struct {
	PID    int
	Worker string // its GEARMAN_WORKER, if it has one
	Cmd    string
}

// ProcessesWith lists the processes whose environment holds entry, such as
// "FLEET=1", which a test gives to what it starts: children inherit it.
func ProcessesWith(tb testing.TB, entry string) []Process {
	tb.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		tb.Fatal(err)
	}
	var found []Process
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+entry+"\x00")) {
			continue // gone, a zombie, or not ours
		}
		found = append(found, describe(dir, env))
	}
	return found
}

// describe reads what is known of a process.
func describe(dir string, env []byte) Process {
	p := Process{}
	p.PID, _ = strconv.Atoi(filepath.Base(dir)) // the pattern has only digits
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if name, ok := bytes.CutPrefix(entry, []byte("GEARMAN_WORKER=")); ok {
			p.Worker = string(name)
		}
	}
	cmd, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // empty if it is gone
	p.Cmd = strings.TrimSpace(strings.ReplaceAll(string(cmd), "\x00", " "))
	return p
}

// ContextSwitches sums the voluntary context switches of a process's threads
// so far.
func ContextSwitches(tb testing.TB, pid int) int {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*/status"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("threads of process %d: %v, %d found", pid, err, len(files))
	}
	sum := 0
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread may end
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				count, err := strconv.Atoi(strings.TrimSpace(n))
				if err != nil {
					tb.Fatal(err)
				}
				sum += count
			}
		}
	}
	return sum
}

// Descriptors counts the open descriptors of the test process.
func Descriptors(tb testing.TB) int {
	tb.Helper()
	return entries(tb, "/proc/self/fd")
}

// Threads counts the threads of the test process.
func Threads(tb testing.TB) int {
	tb.Helper()
	return entries(tb, "/proc/self/task")
}

func entries(tb testing.TB, dir string) int {
	tb.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return len(list)
}
