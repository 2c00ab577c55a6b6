package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// Names in a manager's own directory.
const (
	lockName    = "lock"
	workersName = "workers"
	ownPrefix   = "m" // of the directory, before a number of up to ten digits
)

// runDir is the directory of one manager: its sockets, its job records and the
// list of its workers. It lies in a base directory that managers may share, has
// mode 0700, and is locked for as long as the manager lives, so that a later one
// knows the dead from the living.
type runDir struct {
	base string
	path string
	lock *os.File
	// keepBase is set where the operator has made base, with rights of its own.
	keepBase bool
}

// RunDirError says why no runtime directory could be made.
type RunDirError struct {
	Base    string // the directory that was wanted
	Problem string
	Err     error // may be nil
}

// Error names the directory and what is wanted.
func (e *RunDirError) Error() string {
	return fmt.Sprintf("make runtime directory in %s: %s", e.Base, e.Problem)
}

// Unwrap returns what the system said, if it was asked.
func (e *RunDirError) Unwrap() error { return e.Err }

// makeRunDir makes the directory of this manager in base, or where runtime
// directories are usual if base is empty.
func makeRunDir(base string) (*runDir, error) {
	if base != "" {
		if real, err := filepath.EvalSymlinks(base); err == nil {
			base = real // what the operator names may be a link
		}
		info, there := os.Lstat(base)
		dir, err := openRunDir(base)
		if err == nil {
			dir.keepBase = there == nil && !madeHere(info)
		}
		return dir, err
	}
	for _, usual := range usualBases(os.Getenv("XDG_RUNTIME_DIR"), os.Geteuid(), os.TempDir()) {
		if dir, err := openRunDir(usual); err == nil {
			return dir, nil
		}
	}
	private, err := os.MkdirTemp("", "gearman-manager-")
	if err != nil {
		return nil, &RunDirError{Base: os.TempDir(), Problem: err.Error(), Err: err}
	}
	return openRunDir(private)
}

// madeHere tells whether a directory looks as a manager makes it.
func madeHere(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && info.Mode() == fs.ModeDir|0o700
}

// usualBases are where runtime directories are looked for and made.
func usualBases(xdg string, uid int, temp string) []string {
	var bases []string
	if filepath.IsAbs(xdg) {
		bases = append(bases, filepath.Join(xdg, "gearman-manager"))
	}
	if uid == 0 {
		bases = append(bases, "/run/gearman-manager")
	}
	return append(bases, filepath.Join(temp, "gearman-manager-"+strconv.Itoa(uid)))
}

// openRunDir makes base if there is none, and this manager's directory in it.
func openRunDir(base string) (*runDir, error) {
	if most := host.MaxDir() - len("/"+ownPrefix) - 10; len(base) > most {
		return nil, &RunDirError{
			Base: base, Problem: fmt.Sprintf("its path is %d bytes long, want at most %d, since paths of sockets are limited to 107", len(base), most),
		}
	}
	for range 10 { // another manager may take away an empty directory in between
		dir, err := tryRunDir(base)
		var problem *RunDirError
		switch {
		case err == nil:
			return dir, nil
		case errors.As(err, &problem):
			return nil, err
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EWOULDBLOCK):
			return nil, &RunDirError{Base: base, Problem: err.Error(), Err: err}
		}
	}
	return nil, &RunDirError{Base: base, Problem: "internal error: it was taken away ten times"}
}

func tryRunDir(base string) (*runDir, error) {
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &RunDirError{Base: base, Problem: err.Error(), Err: err}
	}
	if problem := badBase(base); problem != "" {
		return nil, &RunDirError{Base: base, Problem: problem}
	}
	return newRunDir(base)
}

// badBase says what makes a directory unfit: others could replace what is in it.
func badBase(base string) string {
	info, err := os.Lstat(base)
	if err != nil {
		return err.Error()
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "it is a symbolic link, want a directory"
	case !info.IsDir():
		return "it is no directory"
	case ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0:
		return fmt.Sprintf("it belongs to user %d, want user %d", stat.Uid, os.Geteuid())
	case info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return "others may write to it, want chmod o-w"
	default:
		return ""
	}
}

func newRunDir(base string) (*runDir, error) {
	path, err := os.MkdirTemp(base, ownPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockRunDir(path)
	if err != nil {
		_ = os.Remove(path) // empty, or somebody else's by now
		return nil, err
	}
	return &runDir{base: base, path: path, lock: lock}, nil
}

// lockRunDir takes the lock of a manager's directory. The error is EWOULDBLOCK if
// its manager lives.
func lockRunDir(path string) (*os.File, error) {
	name := filepath.Join(path, lockName)
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, err
	}
	held, err1 := lock.Stat()
	there, err2 := os.Stat(name)
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(held, there) { // removed in between
		_ = lock.Close()
		return nil, fs.ErrNotExist
	}
	return lock, nil
}

// remove removes the directory with all that is in it, and gives up the lock.
func (d *runDir) remove() error {
	err := os.RemoveAll(d.path)
	_ = d.lock.Close()
	if !d.keepBase {
		_ = os.Remove(d.base) // if it is empty; one that the system made is not ours to remove
	}
	return err
}

// emptyFor is how old a directory without a list of workers has to be to count as a
// dead manager's and not as one that is just being made.
const emptyFor = time.Minute

// deadRunDirs finds the directories of managers that have died, and locks them.
func (d *runDir) deadRunDirs() []*runDir {
	entries, err := os.ReadDir(d.base)
	if err != nil {
		return nil
	}
	var dead []*runDir
	for _, entry := range entries {
		path := filepath.Join(d.base, entry.Name())
		if path == d.path || !deserted(path, entry) {
			continue
		}
		if lock, err := lockRunDir(path); err == nil {
			dead = append(dead, &runDir{base: d.base, path: path, lock: lock})
		}
	}
	return dead
}

// deserted tells whether a directory is one that a manager of this user left. It is
// going to be removed with all that is in it, so that nothing else may pass: the
// operator may have named a base directory where others keep theirs.
func deserted(path string, entry fs.DirEntry) bool {
	info, err := entry.Info()
	if err != nil || !entry.IsDir() || !ownName(entry.Name()) || info.Mode().Perm() != 0o700 {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return false
	}
	if isFile(path, lockName) && isFile(path, workersName) {
		return true
	}
	inside, err := os.ReadDir(path) // it died, or was killed, while it was being made
	bare := len(inside) == 0 || len(inside) == 1 && isFile(path, lockName)
	return err == nil && bare && time.Since(info.ModTime()) > emptyFor
}

// ownName tells whether newRunDir may have given a name: ownPrefix and a number.
func ownName(name string) bool {
	number, ok := strings.CutPrefix(name, ownPrefix)
	if !ok {
		return false
	}
	_, err := strconv.ParseUint(number, 10, 32)
	return err == nil
}

func isFile(dir, name string) bool {
	info, err := os.Lstat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}
