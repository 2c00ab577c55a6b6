package manager

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFindDirs(t *testing.T) { // not parallel: it sets the environment
	base := t.TempDir()
	lock := func(elem ...string) string {
		path := filepath.Join(append([]string{base}, elem...)...)
		if err := errors.Join(os.MkdirAll(path, 0o700), os.WriteFile(filepath.Join(path, lockName), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	find := func(base string, want ...string) {
		t.Helper()
		if got, err := FindDirs(base); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", base, got, err, want)
		}
	}
	find(filepath.Join(base, "none"))
	run := filepath.Join(base, "run")
	one, two := lock("run", "m1"), lock("run", "m22")
	lock("run", "mine")
	lock("run", "x1")
	if err := errors.Join(os.Mkdir(filepath.Join(run, "m3"), 0o700), os.Symlink(run, filepath.Join(base, "link"))); err != nil {
		t.Fatal(err)
	}
	find(run, one, two)
	find(filepath.Join(base, "link"), one, two)
	if err := os.Chmod(run, 0o777); err != nil {
		t.Fatal(err)
	}
	find(run) // others may have made them

	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(base, "xdg"))
	t.Setenv("TMPDIR", filepath.Join(base, "tmp"))
	usual, private := lock("xdg", "gearman-manager", "m5"), lock("tmp", "gearman-manager-123", "m6")
	open := lock("tmp", "gearman-manager-456", "m7")
	if err := os.Chmod(filepath.Dir(open), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := FindDirs("")
	if !slices.Contains(got, usual) || !slices.Contains(got, private) || slices.Contains(got, open) {
		t.Errorf("the usual ones: %q, %v, want %s and %s among them", got, err, usual, private)
	}
}
