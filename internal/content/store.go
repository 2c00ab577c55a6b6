package content

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// temporary begins the names of copies that are not complete.
	temporary = ".copy-"
	// hashLength is that of a SHA-256 in hexadecimal.
	hashLength = 64
)

// UnsafeDirError says that a directory is not one in which copies of programs may be kept: others could change what is run.
type UnsafeDirError struct {
	// Dir is the directory.
	Dir string
	// Reason says what is wrong, and what is wanted.
	Reason string
}

// Error names the directory and what is wrong.
func (e *UnsafeDirError) Error() string {
	return fmt.Sprintf("%s cannot hold copies of programs: %s", e.Dir, e.Reason)
}

// NoExecError says that nothing can be run from a directory, since its file system is mounted so.
type NoExecError struct {
	// Dir is the directory.
	Dir string
}

// Error names the directory and what can be done.
func (e *NoExecError) Error() string {
	return fmt.Sprintf("%s cannot hold copies of programs: its file system is mounted noexec, want a directory on another one", e.Dir)
}

// Copy is a private copy of a program.
type Copy struct {
	// Path is where it is, absolute if the store's directory is.
	Path string
	// Hash is the SHA-256 of its content, in hexadecimal.
	Hash string
}

// Store is a directory of private copies. One process uses it at a time; its methods may be called at the same time. It holds nothing open.
type Store struct {
	dir string
	// mu guards the names of complete copies, and checked.
	mu sync.Mutex
	// checked holds the copies that have the content their names say, as this process wrote or read it.
	checked map[string]stamp
	// fork is held for reading while a file is open for writing.
	fork *sync.RWMutex
}

// OpenStore makes the directory with mode 0700 if it is not there, with those above it, and removes copies that were not completed. It returns an
// [*UnsafeDirError] for one that is not a directory of this user's which only this user can use, and a [*NoExecError] where programs cannot be run.
// Copies that are there are kept, and used by Put if they are intact.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for copies: %w", err)
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	if err := executable(dir, unix.Statfs); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, checked: make(map[string]stamp), fork: &syscall.ForkLock}
	return s, s.remove(func(name string) bool { return strings.HasPrefix(name, temporary) })
}

// private checks that only this user can use the directory.
func private(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return &UnsafeDirError{Dir: dir, Reason: "it is no directory, want one and no symbolic link"}
	case int(st.Uid) != os.Geteuid():
		return &UnsafeDirError{Dir: dir, Reason: fmt.Sprintf("it belongs to user %d, want %d", st.Uid, os.Geteuid())}
	case st.Mode&0o077 != 0:
		return &UnsafeDirError{Dir: dir, Reason: fmt.Sprintf("its mode is %04o, want 0700", st.Mode&0o777)}
	}
	return nil
}

// executable checks that programs can be run from the directory.
func executable(dir string, statfs func(string, *unix.Statfs_t) error) error {
	var st unix.Statfs_t
	if err := statfs(dir, &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Flags&unix.ST_NOEXEC != 0 {
		return &NoExecError{Dir: dir}
	}
	return nil
}

// Keep removes all copies but those with the given hashes. A running program is not disturbed by the removal of its copy. A copy that Put returned goes as well
// unless it is named: the caller does not run Keep between a Put and the moment from which it names the hash.
func (s *Store) Keep(hashes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(func(name string) bool {
		hash, ok := hashOf(name)
		return ok && !slices.Contains(hashes, hash)
	})
}

// remove removes the files whose names are chosen. It goes on after an error and returns all of them.
func (s *Store) remove(chosen func(name string) bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read directory of copies: %w", err)
	}
	var all []error
	for _, e := range entries {
		if !chosen(e.Name()) {
			continue
		}
		path := filepath.Join(s.dir, e.Name())
		delete(s.checked, path)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = append(all, fmt.Errorf("remove copy: %w", err))
		}
	}
	return errors.Join(all...)
}
