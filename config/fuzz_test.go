package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/config"
)

// FuzzParse reads any bytes as a config: it never panics, each problem points into the file, says something, and fits on one line, and what
// the config holds is within its bounds.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/problems/*.ini")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, problems := config.Parse("config.ini", data, nil)
		if cfg == nil {
			t.Fatal("no config")
		}
		text := string(data)
		lines := 1 + strings.Count(text, "\n") + strings.Count(text, "\r") - strings.Count(text, "\r\n")
		for _, p := range problems {
			checkProblem(t, p, lines)
		}
		checkBounds(t, cfg.Defaults())
		for _, name := range cfg.Sections() {
			if line := cfg.SectionLine(name); line < 1 || line > lines {
				t.Errorf("section %q in line %d of %d", name, line, lines)
			}
			checkBounds(t, cfg.Function(name))
		}
	})
}

// checkProblem fails for a problem that points nowhere or says nothing.
func checkProblem(t *testing.T, p config.Problem, lines int) {
	t.Helper()
	text := p.String()
	switch {
	case p.File != "config.ini" || p.Line < 1 || p.Line > lines:
		t.Errorf("%q is outside the file of %d lines", text, lines)
	case p.Severity != config.Error && p.Severity != config.Warning:
		t.Errorf("%q has severity %q", text, p.Severity)
	case p.Message == "" || strings.ContainsAny(text, "\r\n\x00\x1b"):
		t.Errorf("problem %q", text)
	case strings.Contains(p.Message, "internal error"):
		t.Errorf("%q", text)
	}
}

// checkBounds fails for values that the table does not allow.
func checkBounds(t *testing.T, f config.Function) {
	t.Helper()
	for name, n := range map[string]int{
		"count": f.Count(), "dedicated_count": f.DedicatedCount(), "concurrency": f.Concurrency(), "job_attempts": f.JobAttempts(),
		"max_memory": int(f.MaxMemory()), "max_memory_hard": int(f.MaxMemoryHard()), "start_retries": f.StartRetries(), "start_seconds": int(f.StartSeconds()),
		"rlimit_nofile": f.RlimitNoFile(), "rlimit_data": int(f.RlimitData()), "max_runs_per_worker": f.MaxRuns(), "timeout": int(f.Timeout()), "graceful_shutdown_wait_time": int(f.Grace()),
	} {
		if n < 0 {
			t.Errorf("%s of %s is %d", name, f.Name(), n)
		}
	}
	if f.Priority() < -5 || f.Priority() > 5 {
		t.Errorf("priority of %s is %d", f.Name(), f.Priority())
	}
	if f.Nice() < -20 || f.Nice() > 19 {
		t.Errorf("nice of %s is %d", f.Name(), f.Nice())
	}
	if core, set := f.RlimitCore(); !set && core != 0 {
		t.Errorf("rlimit_core of %s is not set, and %d", f.Name(), core)
	}
	if command := f.Command(); command != nil && command[0] == "" {
		t.Errorf("command of %s is %q", f.Name(), command)
	}
}
