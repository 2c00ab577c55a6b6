package pidfile_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/pidfile"
)

// take takes a file that can be taken.
func take(t *testing.T, path string) *pidfile.File {
	t.Helper()
	f, err := pidfile.Take(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTakeAndRemove(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.pid")
	for _, before := range []string{"", "99999999\n", "garbage \x00\xff", strings.Repeat("7", 1000)} {
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f := take(t, path)
		text, err := os.ReadFile(path)
		if want := fmt.Sprintf("%d\n", os.Getpid()); err != nil || string(text) != want {
			t.Errorf("after %q: %q, %v, want %q", before, text, err, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
			t.Errorf("%v, %v, want mode 0644", info.Mode(), err)
		}
		if err := f.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is there afterwards: %v", err)
		}
	}
}

// TestSecondTake: the second is told who is there, and leaves the file to the first.
func TestSecondTake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.pid")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), holdKey+"="+path)
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
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, err = pidfile.Take(path)
	held, ok := errors.AsType[*pidfile.HeldError](err)
	if !ok || held.PID != cmd.Process.Pid || held.Path != path {
		t.Fatalf("%v, want process %d to have it", err, cmd.Process.Pid)
	}
	want := fmt.Sprintf(`^it runs already: process %d \(\S*%s, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\) has the pid file `, held.PID, regexp.QuoteMeta(filepath.Base(os.Args[0])))
	if !regexp.MustCompile(want).MatchString(err.Error()) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("it is gone: %v", err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	_ = stdin.Close()
	if err := take(t, path).Remove(); err != nil {
		t.Errorf("after a kill: %v", err)
	}
}

// TestUnknownHolder: a file that was locked and not yet written to names nobody.
func TestUnknownHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.pid")
	f := take(t, path)
	for text, want := range map[string]string{"": "another process has", "x": "another process has", "-3": "another process has", fmt.Sprint(os.Getpid()): fmt.Sprintf("process %d has", os.Getpid())} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pidfile.Take(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
}

// TestRemoveSparesOthers: what came to the place of the file meanwhile stays.
func TestRemoveSparesOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.pid")
	f := take(t, path)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	other := take(t, path)
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("that of the other is gone: %v", err)
	}
	if err := other.Remove(); err != nil {
		t.Error(err)
	}
}

// TestRefused: what is no pid file is not touched.
func TestRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large, open := filepath.Join(dir, "large"), filepath.Join(dir, "open")
	text := strings.Repeat("root:x:0:0::/root:/bin/sh\n", 100)
	if err := errors.Join(
		os.WriteFile(large, []byte(text), 0o600), os.Symlink(large, filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "dir"), 0o700),
		os.Mkdir(open, 0o700), os.Chmod(open, 0o777), //nolint:gosec // to be refused
	); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"large": "which no pid file has", "link": "symbolic link", "dir": "is a directory", "none/m.pid": "no such file", "open/m.pid": "others may write to " + open,
	} {
		_, err := pidfile.Take(filepath.Join(dir, name))
		if e, ok := errors.AsType[*pidfile.FileError](err); !ok || !strings.Contains(e.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if got, err := os.ReadFile(large); err != nil || string(got) != text {
		t.Errorf("the large file was changed: %v", err)
	}
}

// TestOneAtATime: of many that come and go, never two have the file.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.pid")
	var having, taken atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				f, err := pidfile.Take(path)
				if _, held := errors.AsType[*pidfile.HeldError](err); held {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				taken.Add(1)
				if n := having.Add(1); n != 1 {
					t.Errorf("%d have it", n)
				}
				if second, err := pidfile.Take(path); err == nil {
					t.Error("it was taken twice")
					_ = second.Remove()
				}
				having.Add(-1)
				if err := f.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if taken.Load() == 0 {
		t.Error("nobody ever had it")
	}
}
