package manager

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRunDir(t *testing.T) {
	t.Parallel()
	base := filepath.Join(runtimeDir(t), "run")
	first, err := makeRunDir(base)
	if err != nil {
		t.Fatal(err)
	}
	second, err := makeRunDir(base)
	if err != nil {
		t.Fatal(err)
	}
	if first.path == second.path {
		t.Errorf("two managers share %s", first.path)
	}
	if info, err := os.Stat(first.path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if dead := second.deadRunDirs(); len(dead) != 0 {
		t.Errorf("a manager that lives counts as dead: %v", dead)
	}
	if err := os.WriteFile(filepath.Join(first.path, workersName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = first.lock.Close() // as the kernel does when it dies
	dead := second.deadRunDirs()
	if len(dead) != 1 || dead[0].path != first.path {
		t.Fatalf("dead: %v", dead)
	}
	if again := second.deadRunDirs(); len(again) != 0 {
		t.Errorf("a dead manager's directory is taken twice: %v", again)
	}
	for _, d := range []*runDir{dead[0], second} {
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(base); err == nil {
		t.Error("the last one leaves the base behind")
	}
}

// TestForeignDirectories: what is not a manager's directory is left alone.
func TestForeignDirectories(t *testing.T) {
	t.Parallel()
	base := runtimeDir(t)
	for _, name := range []string{"other", "mfresh"} {
		if err := os.Mkdir(filepath.Join(base, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "mfile"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := map[string]string{ // by name, a file in it
		"mysql": "ibdata", "mail": lockName, "m12": "letter", "m13x": workersName, "m": lockName, "m99999999999": lockName,
	}
	old := time.Now().Add(-time.Hour)
	for name, file := range foreign {
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := makeRunDir(base)
	if err != nil {
		t.Fatal(err)
	}
	if dead := dir.deadRunDirs(); len(dead) != 0 {
		t.Errorf("taken for dead: %v", dead[0].path)
	}
	if err := dir.remove(); err != nil {
		t.Error(err)
	}
}

func TestRunDirErrors(t *testing.T) {
	t.Parallel()
	dir := runtimeDir(t)
	file, open := filepath.Join(dir, "file"), filepath.Join(dir, "open")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for base, want := range map[string]string{
		file:                          "it is no directory",
		open:                          "others may write to it, want chmod o-w",
		"/nonexistent/run":            "no such file or directory",
		"/" + strings.Repeat("x", 70): "its path is 71 bytes long, want at most 57",
	} {
		_, err := makeRunDir(base)
		if err == nil || !strings.HasPrefix(err.Error(), "make runtime directory in "+base) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestUsualBases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		xdg  string
		uid  int
		want []string
	}{
		{"/run/user/7", 7, []string{"/run/user/7/gearman-manager", "/tmp/gearman-manager-7"}},
		{"", 0, []string{"/run/gearman-manager", "/tmp/gearman-manager-0"}},
		{"relative", 7, []string{"/tmp/gearman-manager-7"}},
	} {
		if diff := cmp.Diff(c.want, usualBases(c.xdg, c.uid, "/tmp")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRoster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := newRoster(dir)
	if err != nil {
		t.Fatal(err)
	}
	keep := rosterEntry{pid: 42, start: 1 << 60, grace: 1500 * time.Millisecond, name: "a b/c/1"}
	if err := r.add(keep); err != nil {
		t.Fatal(err)
	}
	for n := range rosterSlack + 100 { // so many that it is written anew
		if err := r.add(rosterEntry{pid: 1000 + n, start: 1, name: "x/1"}); err != nil {
			t.Fatal(err)
		}
		r.drop(1000 + n)
	}
	if _, err := r.file.WriteString("77 88"); err != nil { // cut off by a death
		t.Fatal(err)
	}
	got, err := readRoster(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > 200 {
		t.Errorf("%d lines of workers that ended", len(got))
	}
	if !slices.Contains(got, keep) {
		t.Errorf("%+v is not among %d entries", keep, len(got))
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestParseRosterEntry(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"42 77 60000 resize/3": true,
		"42 77 60000 ":         true,
		"1 77 60000 init":      false,
		"-5 77 60000 x":        false,
		"42 77":                false,
		"":                     false,
		"a b c d":              false,
	} {
		if _, ok := parseRosterEntry(line); ok != want {
			t.Errorf("%q: %v", line, ok)
		}
	}
}

// A directory that the operator has made stays, with the rights that it has; one that was
// made by a manager goes with it.
func TestBaseOfTheOperatorStays(t *testing.T) {
	t.Parallel()
	theirs := filepath.Join(t.TempDir(), "theirs")
	if err := os.Mkdir(theirs, 0o750); err != nil {
		t.Fatal(err)
	}
	for base, stays := range map[string]bool{theirs: true, filepath.Join(t.TempDir(), "ours"): false} {
		dir, err := makeRunDir(base)
		if err != nil {
			t.Fatal(err)
		}
		if err := dir.remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(base); (err == nil) != stays {
			t.Errorf("%s: %v", base, err)
		}
	}
}
