package trust_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/trust"
)

// tree makes a directory that nobody else may write to, with a file in it.
func tree(t *testing.T) (dir, file string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "in", "file")
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// chmod sets a mode whatever the umask is.
func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// wantAt wants an error that names what others may write to, or none.
func wantAt(t *testing.T, path, at string) {
	t.Helper()
	err := trust.Check(path)
	if at == "" {
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return
	}
	if e, ok := errors.AsType[*trust.WritableError](err); !ok || e.At != at || e.Path != path {
		t.Errorf("%s: %v, want one that names %s", path, err, at)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir, file := tree(t)
	wantAt(t, file, "")
	chmod(t, file, 0o602)
	wantAt(t, file, file)
	chmod(t, file, 0o660)
	wantAt(t, file, "")
	chmod(t, filepath.Dir(file), 0o777)
	wantAt(t, file, filepath.Dir(file))
	chmod(t, filepath.Dir(file), 0o777|fs.ModeSticky)
	wantAt(t, file, "")
	chmod(t, filepath.Dir(file), 0o700)
	chmod(t, dir, 0o703)
	wantAt(t, file, dir)
}

// TestCheckLinks: the directory of a link counts, and that of its target.
func TestCheckLinks(t *testing.T) {
	t.Parallel()
	dir, file := tree(t)
	other, _ := tree(t)
	link := filepath.Join(other, "in", "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	wantAt(t, link, "")
	chmod(t, filepath.Dir(link), 0o707)
	wantAt(t, link, filepath.Dir(link))
	chmod(t, filepath.Dir(link), 0o700)
	chmod(t, filepath.Join(dir, "in"), 0o707)
	wantAt(t, link, filepath.Join(dir, "in"))
}

func TestCheckMissing(t *testing.T) {
	t.Parallel()
	if err := trust.Check(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
