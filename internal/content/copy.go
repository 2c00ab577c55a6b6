package content

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// piece is how much is written at once: a millisecond of a fork's time, or less.
	piece = 256 << 10
	// nameLength bounds what a copy's name takes from its program's: NAME_MAX is 255.
	nameLength = 128
)

// SpaceError says that there is no room for a copy: the disk is full, or this user's share of it.
type SpaceError struct {
	// Dir is the directory of the copies, Path the program.
	Dir, Path string
	// Size is the program's, in bytes.
	Size int64
	// Err is what the system said.
	Err error
}

// Error says how much is missing and where.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("no space in %s for a copy of %s (%.1f MB): %v", e.Dir, e.Path, float64(e.Size)/1e6, e.Err)
}

// Unwrap returns what the system said.
func (e *SpaceError) Unwrap() error { return e.Err }

// Put returns a copy of a program as it is now, mode 0500, whose name begins with that of the program. One that is there and intact is used again. It
// follows symbolic links, and blocks while it reads and writes the program. Errors are those of the file system, [*NotRegularError] and [*SpaceError];
// a Put that fails leaves nothing behind. A program that is written to meanwhile gives a copy of what was read, and its hash.
func (s *Store) Put(path string) (Copy, error) {
	hash, _, _, err := hashFile(path)
	if err != nil {
		return Copy{}, fmt.Errorf("copy program: %w", err)
	}
	if c := s.named(path, hash); s.intact(c) {
		return c, nil
	}
	temp, hash, err := s.write(path)
	if err != nil {
		return Copy{}, fmt.Errorf("copy program: %w", err)
	}
	c := s.named(path, hash)
	if err := s.publish(temp, c); err != nil {
		_ = os.Remove(temp)
		return Copy{}, fmt.Errorf("copy program: %w", err)
	}
	return c, nil
}

// named returns where the copy of a program with this content is, or would be.
func (s *Store) named(path, hash string) Copy {
	name := filepath.Base(path)
	name = name[:min(len(name), nameLength)]
	return Copy{Path: filepath.Join(s.dir, strings.TrimLeft(name, ".")+"-"+hash), Hash: hash}
}

// hashOf returns the hash in the name of a copy.
func hashOf(name string) (hash string, ok bool) {
	if len(name) <= hashLength || name[len(name)-hashLength-1] != '-' {
		return "", false
	}
	hash = name[len(name)-hashLength:]
	_, err := hex.DecodeString(hash)
	return hash, err == nil
}

// intact reports whether a copy is there, can be run and has the content that its name says. It reads one that this process does not know.
func (s *Store) intact(c Copy) bool {
	var st unix.Stat_t
	if err := unix.Lstat(c.Path, &st); err != nil || st.Mode != unix.S_IFREG|0o500 || int(st.Uid) != os.Geteuid() {
		return false
	}
	s.mu.Lock()
	known, ok := s.checked[c.Path]
	s.mu.Unlock()
	if ok && known == stampOf(&st) {
		return true
	}
	hash, of, steady, err := hashFile(c.Path)
	if err != nil || !steady || hash != c.Hash || of != stampOf(&st) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked[c.Path] = of
	return true
}

// publish gives a complete copy its name.
func (s *Store) publish(temp string, c Copy) error {
	if err := os.Chmod(temp, 0o500); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Rename(temp, c.Path); err != nil {
		return err
	}
	at, err := look(c.Path)
	s.checked[c.Path] = at
	return err
}

// write copies a program to a file with a name of its own, and returns that and the hash of what it wrote.
func (s *Store) write(path string) (temp, hash string, err error) {
	from, err := openRegular(path)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = from.Close() }()
	to, err := s.create()
	if err != nil {
		return "", "", s.explain(err, path, from)
	}
	sum := sha256.New()
	if err := to.copyFrom(from, sum); err != nil {
		_ = os.Remove(to.path)
		return "", "", s.explain(err, path, from)
	}
	return to.path, hex.EncodeToString(sum.Sum(nil)), nil
}

// explain makes an error for people of one that says that there is no space.
func (s *Store) explain(err error, path string, from *os.File) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	at, statErr := fstat(from)
	if statErr != nil {
		return err
	}
	return &SpaceError{Dir: s.dir, Path: path, Size: at.size, Err: err}
}

// create makes an empty file with a name of its own.
func (s *Store) create() (*target, error) {
	s.fork.RLock()
	defer s.fork.RUnlock()
	f, err := os.CreateTemp(s.dir, temporary+"*")
	if err != nil {
		return nil, err
	}
	return &target{path: f.Name(), fork: s.fork}, f.Close()
}

// target is a file that is written in pieces and is not open between them.
type target struct {
	path string
	fork *sync.RWMutex
}

// copyFrom copies all of a file, and hashes what it writes.
func (t *target) copyFrom(from io.Reader, sum io.Writer) error {
	_, err := io.CopyBuffer(io.MultiWriter(t, sum), struct{ io.Reader }{from}, make([]byte, piece))
	return err
}

// Write appends one piece. No other goroutine can fork while the file is open.
func (t *target) Write(p []byte) (int, error) {
	t.fork.RLock()
	defer t.fork.RUnlock()
	f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0)
	if err != nil {
		return 0, err
	}
	n, err := f.Write(p)
	return n, errors.Join(err, f.Close())
}
