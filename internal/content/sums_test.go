package content

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// hashed returns the SHA-256 of a text.
func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// counting returns Sums that count how often they read a file.
func counting() (s *Sums, reads *atomic.Int64) {
	s, reads = NewSums(), new(atomic.Int64)
	hash := s.hash
	s.hash = func(path string) (string, stamp, bool, error) {
		reads.Add(1)
		return hash(path)
	}
	return s, reads
}

// wantHash wants the hash of a text for a file.
func wantHash(t *testing.T, s *Sums, path, text string) {
	t.Helper()
	if hash, err := s.File(path); err != nil || hash != hashed(text) {
		t.Errorf("%s: %s, %v, want the hash of %q", path, hash, err, text)
	}
}

// TestFile: a hash is that of the content, also where only that differs: same size, same time of modification, same inode.
func TestFile(t *testing.T) {
	t.Parallel()
	s, path := NewSums(), file(t, "one", t.TempDir(), "f")
	info, err := os.Stat(path)
	must(t, err)
	for _, text := range []string{"one", "two", "six", "", "long enough to differ"} {
		file(t, text, path)
		must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
		wantHash(t, s, path, text)
		wantHash(t, s, path, text)
	}
}

// TestSameTick: a file that is written again within a tick of the clock is not taken for what it was.
func TestSameTick(t *testing.T) {
	t.Parallel()
	s, path := NewSums(), file(t, "", t.TempDir(), "f")
	for i := range 300 {
		text := fmt.Sprintf("%08d", i)
		file(t, text, path)
		wantHash(t, s, path, text)
	}
}

// TestRemembered: a file that does not change is read once if it is old, and not after some seconds if it is new.
func TestRemembered(t *testing.T) {
	t.Parallel()
	path := file(t, "text", t.TempDir(), "f")
	synctest.Test(t, func(t *testing.T) {
		// The clock of a bubble begins in the year 2000: the file was changed in the future, as on a server whose clock is ahead.
		s, reads := counting()
		for range 10 {
			wantHash(t, s, path, "text")
		}
		if n := reads.Load(); n != 10 {
			t.Errorf("read %d times while it was new, want 10", n)
		}
		<-time.After(tick)
		for range 10 {
			wantHash(t, s, path, "text")
		}
		if n := reads.Load(); n != 11 {
			t.Errorf("read %d times, want 11", n)
		}
		file(t, "next", path)
		wantHash(t, s, path, "next")
	})
}

// TestOld: a file that was changed long ago is read once.
func TestOld(t *testing.T) {
	t.Parallel()
	const path = "/etc/passwd"
	if at, err := look(path); err != nil || time.Since(at.changed()) < skew {
		t.Skipf("%s is not old: %v", path, err)
	}
	s, reads := counting()
	for range 10 {
		_, err := s.File(path)
		must(t, err)
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
}

// TestChangedWhileRead: a hash of a file that is written to while it is read is not remembered.
func TestChangedWhileRead(t *testing.T) {
	t.Parallel()
	path := file(t, "text", t.TempDir(), "f")
	synctest.Test(t, func(t *testing.T) {
		s, reads := counting()
		hash := s.hash
		s.hash = func(path string) (string, stamp, bool, error) {
			h, of, _, err := hash(path)
			return h, of, false, err
		}
		for range 5 {
			wantHash(t, s, path, "text")
			<-time.After(2 * tick)
		}
		if n := reads.Load(); n != 5 {
			t.Errorf("read %d times, want 5", n)
		}
	})
}

// TestForgotten: only so many files are remembered, and those that are looked at stay.
func TestForgotten(t *testing.T) {
	t.Parallel()
	s := NewSums()
	kept := entry{stamp: stamp{dev: 1}, hash: "kept"}
	s.put(kept)
	for i := range uint64(10 * remembered) {
		s.put(entry{stamp: stamp{dev: 2, ino: i}})
		if e, ok := s.find(kept.stamp.id()); !ok || e.hash != "kept" {
			t.Fatalf("forgotten after %d", i)
		}
		s.put(kept)
	}
	if n := len(s.recent) + len(s.older); n > 2*remembered {
		t.Errorf("%d remembered", n)
	}
}

// TestFileErrors: what has no content is an error, also what one would wait for.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), NewSums()
	if _, err := s.File(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	pipe := filepath.Join(dir, "pipe")
	must(t, unix.Mkfifo(pipe, 0o600))
	for _, path := range []string{pipe, dir, "/dev/null"} {
		_, err := s.File(path)
		if e, ok := errors.AsType[*NotRegularError](err); !ok || e.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestConcurrently: many may look at files that change; each gets what was in the file at some moment of its look.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	s, dir := NewSums(), t.TempDir()
	valid := map[string]bool{}
	for i := range 20 {
		valid[hashed(fmt.Sprint("text ", i))] = true
	}
	path := file(t, "text 0", dir, "f")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if hash, err := s.File(path); err != nil || !valid[hash] {
					t.Errorf("%s, %v", hash, err)
				}
			}
		})
	}
	for i := range 200 {
		must(t, os.Rename(file(t, fmt.Sprint("text ", i%20), dir, "new"), path))
	}
	all.Wait()
	wantHash(t, s, path, "text 19")
}
