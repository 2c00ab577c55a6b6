package phpconfig_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
)

// TestInclude reads functions from ini files beside a config in PHP, and tells the
// files that it was made of.
func TestInclude(t *testing.T) {
	dir, cfg := setup(t)
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "common.php", `<?php return 4;`)
	write(t, dir, "10.ini", "[resize]\ncount = 3\n")
	write(t, dir, "20.ini", "\n[plain]\n\n[thumb]\ncount = x\n")
	path := write(t, dir, "config.php", `<?php
$gearman_config = [
    'GearmanManager' => ['include' => ['*.ini', 'resize'], 'count' => require __DIR__ . '/common.php'],
    'plain' => [],
];
`)
	loaded, problems := phpconfig.Load(t.Context(), cfg, path, nil)
	want := "error: DIR/20.ini:2: [plain]: the section stands twice, first in DIR/config.php, want one section for each function\n" +
		"error: DIR/20.ini:5: [thumb] count: \"x\" is no number, want a whole number from 0 to 10000\n"
	if diff := cmp.Diff(want, lines(dir, problems)); diff != "" || loaded == nil {
		t.Fatal(diff)
	}
	got := []any{loaded.Count(), loaded.Include(), loaded.Sections(), loaded.Function("resize").Count(), loaded.Files(), loaded.IncludePatterns(), loaded.FileOf("resize"), loaded.FileOf("plain")}
	files := []string{path, dir + "/10.ini", dir + "/20.ini", dir + "/common.php"}
	if diff := cmp.Diff([]any{4, []string{"resize"}, []string{"plain", "resize", "thumb"}, 3, files, []string{dir + "/*.ini"}, dir + "/10.ini", path}, got); diff != "" {
		t.Error(diff)
	}
}
