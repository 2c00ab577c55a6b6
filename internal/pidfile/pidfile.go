// Package pidfile keeps a program from running twice: a file that one process has
// locked, with its number in it for those who want to signal it.
//
// The lock is the kernel's (flock), so that it goes when the process does, however that
// ends. A file without a lock is nobody's, whatever is in it. It is never truncated or
// written to before it is locked, and removed only by who has it:
//
//	open ─► lock ─► still the file of that name? ─► write ─► … ─► the same file? ─► remove ─► unlock
//	         │            └─ no: again
//	         └─ taken: HeldError
package pidfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/trust"
)

const (
	// mode lets everybody read whom to signal.
	mode = 0o644
	// maxSize is how large a file may be that is taken for a pid file. A larger one is
	// something else, which was named by mistake.
	maxSize = 1024
	// tries is how often a file may go away between being opened and locked.
	tries = 20
)

// HeldError says that another process has the file.
type HeldError struct {
	Path string
	PID  int // 0: not known
}

// Error says who has it, as far as can be known.
func (e *HeldError) Error() string {
	who := "another process"
	if e.PID > 0 {
		who = Describe(e.PID)
	}
	return fmt.Sprintf("it runs already: %s has the pid file %s", who, e.Path)
}

// FileError says why a pid file cannot be used.
type FileError struct {
	Path    string
	Problem string
	Err     error // may be nil
}

// Error names the file.
func (e *FileError) Error() string { return fmt.Sprintf("use pid file %s: %s", e.Path, e.Problem) }

// Unwrap returns what the system said, if it was asked.
func (e *FileError) Unwrap() error { return e.Err }

// File is a pid file that this process has.
type File struct {
	path string
	file *os.File
}

// Take locks the file, makes it if there is none, and writes the number of this process
// into it. It does not wait for another one that has it: the error is then a
// [*HeldError], and otherwise a [*FileError]. The caller calls Remove.
func Take(path string) (*File, error) {
	if err := checkDir(path); err != nil {
		return nil, err
	}
	for range tries {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		if err := f.lock(); err != nil {
			_ = f.file.Close() // nothing was written
			return nil, err
		}
		if !f.current() { // who had it has removed it
			_ = f.file.Close()
			continue
		}
		if err := f.write(); err != nil {
			_ = f.Remove()
			return nil, failed(path, err)
		}
		return f, nil
	}
	return nil, &FileError{Path: path, Problem: "it is removed again and again by others"}
}

// Remove removes the file, unless another one is at its place by now, and gives the lock
// back. It is called once.
func (f *File) Remove() error {
	var err error
	if f.current() {
		err = os.Remove(f.path)
	}
	if err = errors.Join(err, f.file.Close()); err != nil {
		return fmt.Errorf("remove pid file: %w", err)
	}
	return nil
}

// failed is the error of a system call.
func failed(path string, err error) error {
	problem := err
	if wrapped, ok := errors.AsType[*os.PathError](err); ok {
		problem = wrapped.Err // the path is said
	}
	return &FileError{Path: path, Problem: problem.Error(), Err: err}
}

// checkDir refuses a directory in which any user could put another file in the place of
// ours.
func checkDir(path string) error {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err == nil {
		err = trust.Check(dir)
	}
	if open, ok := errors.AsType[*trust.WritableError](err); ok {
		return &FileError{Path: path, Problem: fmt.Sprintf("others may write to %s, want chmod o-w", open.At), Err: err}
	}
	if err != nil {
		return failed(path, err)
	}
	return nil
}

// open opens the file without changing it.
func open(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, mode)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &FileError{Path: path, Problem: "it is a symbolic link, want a file", Err: err}
	case err != nil:
		return nil, failed(path, err)
	}
	if err := check(path, file); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return &File{path: path, file: file}, nil
}

// check refuses what is no pid file of ours.
func check(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return failed(path, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return &FileError{Path: path, Problem: "it is no regular file"}
	case info.Size() > maxSize:
		return &FileError{Path: path, Problem: fmt.Sprintf("it has %d bytes, which no pid file has, want another path", info.Size())}
	case ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0:
		return &FileError{Path: path, Problem: fmt.Sprintf("it belongs to user %d, want user %d", stat.Uid, os.Geteuid())}
	}
	return nil
}

// lock locks the file or says who has.
func (f *File) lock() error {
	err := unix.Flock(int(f.file.Fd()), unix.LOCK_EX|unix.LOCK_NB) //nolint:gosec // a descriptor fits
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return &HeldError{Path: f.path, PID: f.read()}
	case err != nil:
		return failed(f.path, fmt.Errorf("lock it: %w", err))
	}
	return nil
}

// current tells whether the file is the one at its path.
func (f *File) current() bool {
	here, err := f.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.path)
	return err == nil && os.SameFile(here, there)
}

// read returns the number in the file, or 0.
func (f *File) read() int {
	text := make([]byte, 32)
	n, _ := f.file.ReadAt(text, 0) // it is short, so there is an error
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// write puts the number of this process into the file. A reader may find it empty for a
// moment, but never half a number.
func (f *File) write() error {
	if err := f.file.Truncate(0); err != nil {
		return err
	}
	if _, err := f.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return err
	}
	_ = f.file.Chmod(mode) // it is as the umask and whoever made it wanted, if not as we do
	return nil
}
