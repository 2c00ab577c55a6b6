package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	// A name may hold blanks and parentheses.
	line := "4242 (php (8.2) x) S 17 4242 4242 0 -1 4194560 1 2 3 4 150 25 7 3 20 0 1 0 987654 1000 100 18446744073709551615\n"
	got, err := parseStat(line)
	if err != nil {
		t.Fatal(err)
	}
	want := stat{pid: 4242, ppid: 17, self: 1750 * time.Millisecond, waited: 100 * time.Millisecond, started: 987654}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(stat{})); diff != "" {
		t.Errorf("stat (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "17", "17 (x", "17 (x) S 1 2 3", strings.Replace(line, "150", "many", 1)} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q): no error", bad)
		}
	}
}

func TestParsePSS(t *testing.T) {
	t.Parallel()
	got, err := parsePSS("00400000-7fff [rollup]\nRss:     8000 kB\nPss:     1500 kB\nPss_Dirty:  3 kB\n")
	if err != nil || got != 1500<<10 {
		t.Errorf("parsePSS: %d, %v, want %d", got, err, 1500<<10)
	}
	for _, bad := range []string{"", "Rss: 1 kB\n", "Pss: much kB\n"} {
		if _, err := parsePSS(bad); err == nil {
			t.Errorf("parsePSS(%q): no error", bad)
		}
	}
}

func TestParseWaits(t *testing.T) {
	t.Parallel()
	got, err := parseWaits("Name:\tx\nThreads:\t1\nvoluntary_ctxt_switches:\t1234\nnonvoluntary_ctxt_switches:\t77\n")
	if err != nil || got != 1234 {
		t.Errorf("parseWaits: %d, %v, want 1234", got, err)
	}
	for _, bad := range []string{"", "nonvoluntary_ctxt_switches:\t77\n", "voluntary_ctxt_switches:\tmany\n"} {
		if _, err := parseWaits(bad); err == nil {
			t.Errorf("parseWaits(%q): no error", bad)
		}
	}
}

// Each line that cat is given wakes it up once, as it has waited for it.
func TestWakeups(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat") // its end is waited for below
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	const lines = 20
	answers := bufio.NewScanner(stdout)
	echo := func() {
		if _, err := io.WriteString(stdin, "line\n"); err != nil || !answers.Scan() {
			t.Fatal(err, answers.Err())
		}
		// It has answered before it waits again.
		err := poll(t.Context(), time.Millisecond, 10*time.Second, func() (bool, error) {
			state, err := os.ReadFile(procFile(cmd.Process.Pid, "stat"))
			return strings.Contains(string(state), ") S "), err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	echo()
	before, err := wakeups(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for range lines {
		echo()
	}
	after, err := wakeups(cmd.Process.Pid)
	if err != nil || after-before < lines || after-before > 3*lines {
		t.Errorf("wakeups for %d lines: %d, %v", lines, after-before, err)
	}
	if _, err := wakeups(1 << 30); err == nil {
		t.Error("wakeups of no process: no error")
	}
}

// The counters of a live process: this test and a child of it.
func TestLiveProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat") // its end is waited for below
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	below, err := descendants(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range below {
		found = found || s.pid == cmd.Process.Pid && s.ppid == os.Getpid()
	}
	if !found {
		t.Errorf("child %d is not among the descendants %v", cmd.Process.Pid, below)
	}
	if n, err := pss(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("memory of this test: %d, %v, want a MiB at least", n, err)
	}
	if d, err := ownTime(os.Getpid()); err != nil || d <= 0 {
		t.Errorf("run time of this test: %v, %v", d, err)
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Errorf("CPU time of this test: %v", err)
	}
}
