package logging_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// openFile opens a log file whose notices are counted.
func openFile(t *testing.T, path string) (f *logging.File, notices *[]error) {
	t.Helper()
	notices = new([]error)
	f, err := logging.OpenFile(path, func(err error) { *notices = append(*notices, err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, notices
}

func put(t *testing.T, f *logging.File, text string) {
	t.Helper()
	if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("%q: %d, %v", text, n, err)
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v, want %q", filepath.Base(path), got, err, want)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestRotation: a file that was renamed takes lines until it is opened anew.
func TestRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, notices := openFile(t, path)
	put(t, f, "a\n")
	rename(t, path, path+".1")
	put(t, f, "b\n")
	f.Reopen()
	put(t, f, "c\n")
	f.Reopen() // nothing has changed
	put(t, f, "d\n")
	wantFile(t, path+".1", "before\na\nb\n")
	wantFile(t, path, "c\nd\n")
	if info, err := os.Stat(path); err != nil || info.Mode()&^0o640 != 0 || len(*notices) > 0 {
		t.Errorf("%v, %v, notices %v", info.Mode(), err, *notices)
	}
}

// TestReopenFails: the lines go on into the file that is open, and it is said once
// until it works again.
func TestReopenFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log")
	f, notices := openFile(t, path)
	put(t, f, "a\n")
	for round := range 2 {
		rename(t, dir, dir+".away")
		for range 3 {
			f.Reopen()
			put(t, f, "b\n")
		}
		if len(*notices) != round+1 {
			t.Fatalf("notices: %v", *notices)
		}
		e, ok := errors.AsType[*logging.FileError]((*notices)[round])
		if !ok || e.Path != path || !errors.Is(e, os.ErrNotExist) || strings.Count(e.Error(), path) != 1 {
			t.Errorf("%v", e)
		}
		rename(t, dir+".away", dir)
		f.Reopen()
		put(t, f, "c\n")
	}
	wantFile(t, path, "a\nb\nb\nb\nc\nb\nb\nb\nc\n")
}

// TestFileOfManyWriters: nothing is lost or torn while the file is rotated again and
// again.
func TestFileOfManyWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	f, notices := openFile(t, path)
	var writing sync.WaitGroup
	const writers, lines = 4, 500
	for who := range writers {
		writing.Go(func() {
			for n := range lines {
				_, _ = fmt.Fprintf(f, "%d %d %s\n", who, n, strings.Repeat("x", n))
			}
		})
	}
	for n := range 50 {
		rename(t, path, fmt.Sprintf("%s.%03d", path, n))
		f.Reopen()
		put(t, f, "rotated\n")
	}
	writing.Wait()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 51 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	files = append(files[1:], files[0]) // the oldest first
	next := map[int]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var who, n int
			if line == "rotated\n" {
				continue
			}
			if _, err := fmt.Sscan(line, &who, &n); err != nil || n != next[who] || line != fmt.Sprintf("%d %d %s\n", who, n, strings.Repeat("x", n)) {
				t.Fatalf("%q after line %d of %d: %v", line, next[who], who, err)
			}
			next[who]++
		}
	}
	for who := range writers {
		if next[who] != lines {
			t.Errorf("%d lines of %d, want %d", next[who], who, lines)
		}
	}
	if len(*notices) > 0 {
		t.Errorf("%v", *notices)
	}
}

// TestFullDisk: what does not fit is counted by the queue.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	f, _ := openFile(t, path)
	log, queue := async(t, f)
	for n := range 10 {
		log.Warn().Int("n", n).Msg("lost")
	}
	if err := os.Remove(path); err != nil { // there is room again
		t.Fatal(err)
	}
	f.Reopen()
	log.Warn().Msg("kept")
	flush(t, queue)
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(text, []byte(`"kept"`)) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestOpenFileRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := errors.Join(unix.Mkfifo(pipe, 0o600), os.Symlink("loop", filepath.Join(dir, "loop"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": "is a directory", "none/log": "no such file", "pipe": "no such device", "loop": "too many levels"} {
		_, err := logging.OpenFile(filepath.Join(dir, name), nil)
		if e, ok := errors.AsType[*logging.FileError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", name, e, err, want)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can lay another user's link")
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(filepath.Join(dir, "target"), link), os.Lchown(link, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := logging.OpenFile(link, nil); err == nil || !strings.Contains(err.Error(), "symbolic link of another user") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "target")); err == nil {
		t.Error("the link was followed")
	}
}
