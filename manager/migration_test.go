package manager_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

// phpFleet plans a config whose worker_dir, DIR, has PHP files for the names.
func phpFleet(t *testing.T, ini string, names ...string) (*config.Config, *manager.Plan) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		content, mode := "<?php", os.FileMode(0o600)
		if filepath.Ext(name) != ".php" {
			content, mode = "#!/bin/sh\ncat\n", 0o700
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	cfg, problems := config.Parse("c.ini", []byte(strings.ReplaceAll(ini, "DIR", dir)), nil)
	programs, more := manager.Scan(t.Context(), cfg, nil, nil)
	plan, still := manager.NewPlan(cfg, programs)
	for _, p := range append(append(problems, more...), still...) {
		if p.Severity == config.Error {
			t.Fatal(p)
		}
	}
	return cfg, plan
}

// notesAt returns what is said of a place.
func notesAt(notes []config.Note, place string) string {
	var found []string
	for _, n := range notes {
		if n.Place() == place {
			found = append(found, n.What)
		}
	}
	return strings.Join(found, "\n")
}

// TestMigrationCounts explains the numbers of functions.
func TestMigrationCounts(t *testing.T) {
	t.Parallel()
	cfg, plan := phpFleet(t, `[GearmanManager]
worker_dir = DIR
count = 10
dedicated_count = 1
[few]
count = 3
[many]
count = 15
[more]
dedicated_count = 5
count = 3
[only]
dedicated_count = 5
dedicated_only = 1
[plain]
timeout = 0
[absent]
count = 3
`, "few.php", "many.php", "more.php", "only.php", "plain.php")
	notes := manager.MigrationNotes(cfg, plan)
	const rule = "this is as it was: count is the least number of workers of the shared pool and of its own together, dedicated_count is added to the shared pool, and the larger result holds"
	for place, want := range map[string]string{
		"c.ini:6: [few] count = 3: 11 workers, 10 of the shared pool and 1 of its own":   rule,
		"c.ini:8: [many] count = 15: 15 workers, 10 of the shared pool and 5 of its own": rule,
		"c.ini:11: [more] count = 3: 15 workers, 10 of the shared pool and 5 of its own": rule,
		"c.ini:13: [only] dedicated_count = 5: 5 workers, all of its own":                "this is as it was: dedicated_only leaves out the shared pool, and count has no effect",
	} {
		if got := notesAt(notes, place); got != want {
			t.Errorf("%s: %q, want %q", place, got, want)
		}
	}
	counted := 0
	for _, n := range notes {
		if n.Comes != "" {
			counted++
		}
	}
	if counted != 4 {
		t.Errorf("%d numbers are explained, want 4: none twice, and none of what is not performed", counted)
	}
	for place, ini := range map[string]string{
		"c.ini:4: [a] count = 1: 1 worker, all of its own":          "[GearmanManager]\nworker_dir = DIR\n[a]\ncount = 1\n",
		"c.ini:5: [a] count = 1: 2 workers, all of the shared pool": "[GearmanManager]\nworker_dir = DIR\ncount = 2\n[a]\ncount = 1\n",
	} {
		cfg, plan := phpFleet(t, ini, "a.php")
		if notesAt(manager.MigrationNotes(cfg, plan), place) != rule {
			t.Errorf("no note %q", place)
		}
	}
}

// TestMigrationStrangers names executables in worker_dir, once each, but no commands.
func TestMigrationStrangers(t *testing.T) {
	t.Parallel()
	cfg, plan := phpFleet(t, "[GearmanManager]\nworker_dir = DIR\ncount = 2\ndedicated_count = 1\n[wc]\ncommand = wc -l\n", "a.php", "deploy.sh")
	dir := cfg.WorkerDirs()[0]
	got := notesAt(manager.MigrationNotes(cfg, plan), "c.ini:2: [GearmanManager] worker_dir = "+dir)
	if want := "GearmanManager looked at .php files only; here " + filepath.Join(dir, "deploy.sh") + ", which is executable, performs deploy"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestMigrationOrder: keys that are set, what becomes of numbers, keys that are not set, the whole fleet.
func TestMigrationOrder(t *testing.T) {
	t.Parallel()
	cfg, plan := phpFleet(t, "[GearmanManager]\nworker_dir = DIR\n[a]\ncount = 2\npriority = 1\n", "a.php")
	var got []string
	for _, n := range manager.MigrationNotes(cfg, plan) {
		got = append(got, n.Place())
	}
	want := []string{
		"c.ini:5: [a] priority = 1", "c.ini:4: [a] count = 2: 2 workers, all of its own",
		"[GearmanManager] job_attempts: not set", "[GearmanManager] worker_initial_spawn_splay: not set", "[GearmanManager] reload_config: not set", "[GearmanManager] kill_group: not set", "", "",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, want %q", got, want)
	}
	if !plan.HasPHP() {
		t.Error("the plan has no PHP workers")
	}
	if (&manager.Plan{}).HasPHP() {
		t.Error("an empty plan has PHP workers")
	}
}
