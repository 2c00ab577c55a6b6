package manager

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/pidfile"
	"github.com/gearman-manager/gearman-manager/internal/trust"
)

// StateDirError says why a state directory cannot be used.
type StateDirError struct {
	Dir     string // empty if none could be chosen
	Problem string
	Err     error // may be nil
	// InUse is true if another manager has it.
	InUse bool
	// Unsafe is true if others could change what is in it.
	Unsafe bool
}

// Error names the directory and what is wanted.
func (e *StateDirError) Error() string {
	if e.Dir == "" {
		return "choose state directory: " + e.Problem
	}
	return fmt.Sprintf("use state directory %s: %s", e.Dir, e.Problem)
}

// Unwrap returns what the system said, if it was asked.
func (e *StateDirError) Unwrap() error { return e.Err }

// stateDir is the directory for what has to survive a restart. One manager has it
// at a time.
type stateDir struct {
	path string
	lock *os.File
}

// chooseStateDir returns the directory for a config that names none: below the
// usual one, a directory for each config file, or for the worker directories where
// there is no file, so that the fleets of one user do not meet. It has the environment
// of this process from getenv.
func chooseStateDir(settings *config.Config, uid int, getenv func(string) string) (string, error) {
	base, err := stateBase(uid, getenv)
	if err != nil {
		return "", err
	}
	name, of := "no-config", strings.Join(settings.WorkerDirs(), "\x00")
	if file := settings.File(); file != "" {
		path, err := filepath.Abs(file)
		if err != nil {
			return "", &StateDirError{Problem: err.Error(), Err: err}
		}
		name, of = filepath.Base(path), path
	}
	sum := sha256.Sum256([]byte(of))
	return filepath.Join(base, plainName(name)+"-"+hex.EncodeToString(sum[:6])), nil
}

// stateBase is where state directories are usual.
func stateBase(uid int, getenv func(string) string) (string, error) {
	const name = "gearman-manager"
	switch xdg, home := getenv("XDG_STATE_HOME"), getenv("HOME"); {
	case filepath.IsAbs(xdg):
		return filepath.Join(xdg, name), nil
	case uid == 0:
		return filepath.Join("/var/lib", name), nil
	case filepath.IsAbs(home):
		return filepath.Join(home, ".local", "state", name), nil
	default:
		return "", &StateDirError{Problem: "neither XDG_STATE_HOME nor HOME is set; state_dir in the config names one"}
	}
}

var notPlain = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// plainName makes a name that is easy to type of any.
func plainName(name string) string {
	name = strings.TrimLeft(notPlain.ReplaceAllString(name, "_"), ".")
	return name[:min(len(name), 40)]
}

// openStateDir makes the directory if there is none, and locks it. The error is a
// *StateDirError.
func openStateDir(path string) (*stateDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, &StateDirError{Dir: path, Problem: err.Error(), Err: err}
	}
	if err := checkStateDir(path); err != nil {
		return nil, err
	}
	return lockStateDir(path)
}

// checkStateDir refuses a directory in which others could put another file in the
// place of one of ours.
func checkStateDir(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return &StateDirError{Dir: path, Problem: err.Error(), Err: err}
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() && stat.Uid != 0 {
		return &StateDirError{
			Dir: path, Unsafe: true, Problem: fmt.Sprintf("it belongs to user %d, want user %d", stat.Uid, os.Geteuid()),
		}
	}
	if info.Mode()&0o002 != 0 { // the sticky bit does not keep others from making a file that we have not made yet
		return &StateDirError{Dir: path, Unsafe: true, Problem: "others may write to it, want chmod o-w"}
	}
	err = trust.Check(path)
	if open, ok := errors.AsType[*trust.WritableError](err); ok {
		return &StateDirError{
			Dir: path, Unsafe: true, Err: err, Problem: fmt.Sprintf("others may write to %s, want chmod o-w", open.At),
		}
	}
	if err != nil {
		return &StateDirError{Dir: path, Problem: err.Error(), Err: err}
	}
	return nil
}

// lockStateDir takes the lock of the directory and writes into it who has it. The
// kernel gives the lock back when the manager dies.
func lockStateDir(path string) (*stateDir, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, &StateDirError{Dir: path, Problem: err.Error(), Err: err}
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		problem := &StateDirError{Dir: path, Problem: "lock it: " + err.Error(), Err: err}
		if errors.Is(err, unix.EWOULDBLOCK) {
			problem.InUse, problem.Problem = true, inUse(lock)
		}
		_ = lock.Close()
		return nil, problem
	}
	// Only for people; a full disk is told when there is something to lose.
	if lock.Truncate(0) == nil {
		_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &stateDir{path: path, lock: lock}, nil
}

// inUse says who has a directory.
func inUse(lock *os.File) string {
	text := make([]byte, 20)
	n, _ := lock.ReadAt(text, 0) // it is short, so there is an error
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil && pid > 0 {
		return "another manager has it, " + pidfile.Describe(pid)
	}
	return "another manager has it"
}

// maxStateFile is how many bytes of a state file are read: all suspects with causes
// that JSON has to escape letter by letter.
const maxStateFile = 32 << 20

// errTooLarge is the error of a state file that nobody can have written.
var errTooLarge = fmt.Errorf("it is larger than %d bytes", maxStateFile)

// read reads a file of the directory. A link, or anything that is no file, is an
// error. So is none: fs.ErrNotExist.
func (d *stateDir) read(name string) ([]byte, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > maxStateFile:
		return nil, errTooLarge
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if err != nil {
		return nil, err
	}
	return data[:n], nil
}

// write replaces a file of the directory as a whole, so that a crash leaves the old
// one or the new one. It blocks until it is on disk.
func (d *stateDir) write(name string, data []byte) error {
	path := filepath.Join(d.path, name)
	temp := path + ".new" // the directory is locked: nobody else writes it
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(temp, data); err != nil {
		_ = os.Remove(temp) // what there is room for is left out
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(d.path)
}

func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// setAside renames a file that cannot be understood, and returns its new name.
func (d *stateDir) setAside(name string) (string, error) {
	path := filepath.Join(d.path, name)
	return path + ".bad", os.Rename(path, path+".bad")
}

// close gives the directory up. The file of the lock stays: to remove it would let
// two managers lock two files of that name.
func (d *stateDir) close() { _ = d.lock.Close() }
