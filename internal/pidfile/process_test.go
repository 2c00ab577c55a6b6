package pidfile

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	if got, want := Describe(os.Getpid()), fmt.Sprintf("process %d", os.Getpid()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Describe(1 << 29); got != fmt.Sprintf("process %d", 1<<29) {
		t.Errorf("a process that there is not: %q", got)
	}
	if got := Describe(os.Getppid()); !strings.Contains(got, " (") || !strings.Contains(got, "since 20") {
		t.Errorf("the parent: %q", got)
	}
}

func TestStarted(t *testing.T) {
	t.Parallel()
	got, err := started("/proc/self/stat")
	if age := time.Since(got); err != nil || age < -time.Second || age > time.Hour {
		t.Errorf("started %v ago, %v", age, err)
	}
	if _, err := started("/proc/self/comm"); err == nil {
		t.Error("a line that is short")
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"a\x00-c\x00b.ini\x00":   "a -c b.ini",
		"a\x1b[31m\n\u202eb":     "a�[31m��b",
		strings.Repeat("ä", 300): strings.Repeat("ä", 200) + "…",
	} {
		if got := command([]byte(line)); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
