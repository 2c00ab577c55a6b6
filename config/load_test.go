package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares text with a file, or writes the file with -update.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s differs (-golden +now; go test -update writes it):\n%s", path, diff)
	}
}

// TestProblems reads one file for each mistake and compares all that is said about it.
func TestProblems(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/problems/*.ini")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d files of mistakes: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".ini"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			cfg, problems := config.Parse("config.ini", data, nil)
			if cfg == nil {
				t.Fatal("no config")
			}
			var b strings.Builder
			for _, p := range problems {
				b.WriteString(string(p.Severity) + " " + p.String() + "\n")
			}
			golden(t, strings.TrimSuffix(path, ".ini")+".txt", b.String())
		})
	}
}

// TestLoadUnreadable names the file in each case.
func TestLoadUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := map[string]struct{ path, want string }{
		"missing":   {filepath.Join(dir, "none.ini"), "there is no such config file"},
		"below":     {filepath.Join(dir, "none", "none.ini"), "there is no such config file"},
		"directory": {dir, "this is a directory"},
		"php":       {write("config.php", "<?php", 0o600), "a config in PHP cannot be read"},
		"huge":      {write("huge.ini", strings.Repeat(";\n", 3<<20), 0o600), "more than 4 MiB"},
	}
	if os.Geteuid() != 0 { // nothing is unreadable for root
		cases["forbidden"] = struct{ path, want string }{write("secret.ini", "", 0), "may not be read"}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, problems := config.Load(c.path, nil)
			if cfg != nil || len(problems) != 1 || !config.HasErrors(problems) {
				t.Fatalf("config %v, problems %v, want no config and one error", cfg, problems)
			}
			if got := problems[0].String(); !strings.HasPrefix(got, c.path+": ") || !strings.Contains(got, c.want) {
				t.Errorf("problem %q, want one that names %s and says %q", got, c.path, c.want)
			}
		})
	}
}

// TestLoad reads a real file.
func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.ini")
	if err := os.WriteFile(path, []byte("[GearmanManager]\ncount = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(path, nil)
	if len(problems) != 0 || cfg.Count() != 3 || cfg.File() != path {
		t.Errorf("count %d of file %q, problems %v", cfg.Count(), cfg.File(), problems)
	}
}

// TestLoadWithoutFile runs on defaults and flags alone, as GearmanManager does without -c.
func TestLoadWithoutFile(t *testing.T) {
	t.Parallel()
	cfg, problems := config.Load("", config.Overrides{{Flag: "-D", Key: "count", Value: "7"}})
	if len(problems) != 0 {
		t.Fatalf("problems: %v", problems)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(cwd, "workers")}, cfg.WorkerDirs()); diff != "" {
		t.Error(diff)
	}
	if got := cfg.Origin(config.GlobalSection, "count").String(); cfg.Count() != 7 || got != "flag -D" {
		t.Errorf("count %d from %q", cfg.Count(), got)
	}
}

// TestOverridesWin compares flags with the file: they win, even over a value that is wrong, and the last one counts.
func TestOverridesWin(t *testing.T) {
	t.Parallel()
	const file = "[GearmanManager]\ncount = x\ntimeout = 5\nhost[] = a\nhost[] = b\n[resize]\ntimeout = 9\n"
	cfg, problems := config.Parse("config.ini", []byte(file), config.Overrides{
		{Flag: "-D", Key: "count", Value: "1"},
		{Flag: "-D", Key: "count", Value: "2"},
		{Flag: "-t", Key: "timeout", Value: "30"},
		{Flag: "-h", Key: "host", Value: "c,d:1"},
		{Flag: "-p", Key: "prefix", Value: "job_"},
		{Flag: "-p", Key: "prefix", Value: ""},
	})
	if len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
	if cfg.Count() != 2 || cfg.Prefix() != "" {
		t.Errorf("count %d and prefix %q, want the last flags'", cfg.Count(), cfg.Prefix())
	}
	if diff := cmp.Diff([]string{"c:4730", "d:1"}, cfg.Hosts()); diff != "" {
		t.Error(diff)
	}
	if global, own := cfg.Defaults().Timeout().Seconds(), cfg.Function("resize").Timeout().Seconds(); global != 30 || own != 9 {
		t.Errorf("timeout %v globally and %v for resize, want the flag's and the section's", global, own)
	}
}

// TestOverrideProblems names the flag.
func TestOverrideProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		override config.Override
		want     string
	}{
		{config.Override{Flag: "-D", Key: "count", Value: "x"}, `flag -D: count: "x" is no number, want a whole number from 0 to 10000`},
		{config.Override{Flag: "-x", Key: "max_worker_lifetime", Value: "-1"}, "flag -x: max_worker_lifetime: -1 is negative, want seconds, such as 30"},
		{config.Override{Flag: "-d", Key: "daemon", Value: "on"}, "flag -d: daemon: has no effect yet: the manager stays in the foreground"},
		{config.Override{Flag: "--no", Key: "command", Value: "x"}, "flag --no: command: internal error: the flag sets a key that is unknown"},
	} {
		_, problems := config.Parse("config.ini", nil, config.Overrides{c.override})
		if len(problems) != 1 || problems[0].String() != c.want {
			t.Errorf("%+v: problems %v, want %q", c.override, problems, c.want)
		}
	}
}
