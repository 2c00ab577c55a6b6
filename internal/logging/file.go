package logging

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileMode is the mode of a log file that is made: jobs' data may be in it, which is
// not for everybody.
const fileMode = 0o640

// FileError says why a log file cannot be written to.
type FileError struct {
	Path string
	Err  error
}

// Error names the file.
func (e *FileError) Error() string { return fmt.Sprintf("open log file %s: %v", e.Path, e.Err) }

// Unwrap returns what the system said.
func (e *FileError) Unwrap() error { return e.Err }

// File is a log file that can be rotated: it is renamed by somebody, who then has it
// opened anew, and the next line is the first of the new one. Lines are appended whole.
// Its methods may be called from any goroutine.
type File struct {
	path   string
	notice func(error)
	again  atomic.Bool // it is to be opened anew

	mu   sync.Mutex // held while the disk takes a line
	file *os.File
	torn bool // what is in the file ends in the middle of a line
	told bool // that it could not be opened anew
}

// OpenFile opens a log file and makes it if there is none; its directory has to be
// there. A symbolic link is followed if it is of this user or of root, and not if
// somebody else could have laid it. notice is told why the file could not be opened
// anew, once until it can be again. The error is a [*FileError].
func OpenFile(path string, notice func(error)) (*File, error) {
	file, err := openLog(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, notice: notice, file: file}, nil
}

// Path is that of the file.
func (f *File) Path() string { return f.path }

// Reopen has the next line written to what is at the path then. Where that cannot be
// opened the lines go on into the file that is open. It does not block.
func (f *File) Reopen() { f.again.Store(true) }

// Write appends one line. It blocks for as long as the disk does. A line that did not
// fit is not in the file, as far as that can be helped.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.again.Swap(false) {
		f.reopen()
	}
	if f.torn {
		if _, err := f.file.Write([]byte("\n")); err != nil {
			return 0, err
		}
		f.torn = false
	}
	n, err := f.file.Write(line)
	if err != nil && n > 0 {
		f.torn = !f.cut(int64(n))
	}
	return n, err
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// reopen opens the file anew, under the lock.
func (f *File) reopen() {
	file, err := openLog(f.path)
	if err != nil {
		if !f.told {
			f.notice(err)
		}
		f.told = true
		return
	}
	_ = f.file.Close() // each line was written when it came
	f.file, f.told, f.torn = file, false, false
}

// cut takes the beginning of a line away again.
func (f *File) cut(n int64) bool {
	info, err := f.file.Stat()
	return err == nil && info.Mode().IsRegular() && info.Size() >= n && f.file.Truncate(info.Size()-n) == nil
}

// openLog opens a file to append to. One that blocks, such as a pipe that nobody reads,
// is an error rather than waited for.
func openLog(path string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | unix.O_NONBLOCK
	file, err := os.OpenFile(path, flags|unix.O_NOFOLLOW, fileMode)
	if errors.Is(err, unix.ELOOP) {
		if err = checkLink(path); err == nil {
			file, err = os.OpenFile(path, flags, fileMode)
		}
	}
	if wrapped, ok := errors.AsType[*os.PathError](err); ok {
		err = wrapped.Err // the path is said
	}
	if err != nil {
		return nil, &FileError{Path: path, Err: err}
	}
	return file, nil
}

// checkLink refuses a link of another user: it could lead to a file that is only ours to
// write to.
func checkLink(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() && stat.Uid != 0 {
		return fmt.Errorf("it is a symbolic link of another user, want a file or a link of user %d, in %s", os.Geteuid(), filepath.Dir(path))
	}
	return nil
}
