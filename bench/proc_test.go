package main

import (
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
