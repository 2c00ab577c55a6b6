package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxPath is how long the path of a socket may be, in bytes, as the kernel has it.
const MaxPath = 107

const (
	socketMode = 0o660
	probeWait  = 2 * time.Second // for somebody to answer at a socket that is there
	turnPoll   = 10 * time.Millisecond
)

// SocketError says why a socket could not be made.
type SocketError struct {
	Path    string
	Problem string
	Err     error // may be nil
	// InUse is true if somebody answers there, PID is who; 0 if that is not known.
	InUse bool
	PID   int
}

// Error names the socket and what is wrong.
func (e *SocketError) Error() string {
	return fmt.Sprintf("open control socket %s: %s", e.Path, e.Problem)
}

// Unwrap returns what the system said, if it did.
func (e *SocketError) Unwrap() error { return e.Err }

// socket is a socket that was made.
type socket struct {
	*net.UnixListener

	path string
	file os.FileInfo
}

// listen makes the socket. One that is there already is replaced if nobody answers; what
// is no socket is left alone.
//
// It is made, and given to whom it is to belong, in a directory that nobody else can
// enter, so that at no time others can use it than those who may. What is moved to its
// place replaces nothing, and managers do this one after another, so that they cannot take
// it away from each other.
func listen(ctx context.Context, path string, owner ownership) (*socket, error) {
	if len(path) > MaxPath {
		return nil, &SocketError{Path: path, Problem: fmt.Sprintf("its path is %d bytes long, want at most %d", len(path), MaxPath)}
	}
	if err := makeParent(filepath.Dir(path)); err != nil {
		return nil, &SocketError{Path: path, Problem: err.Error(), Err: err}
	}
	defer takeTurn(ctx, filepath.Dir(path))()
	if err := checkFree(ctx, path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".control-")
	if err != nil {
		return nil, &SocketError{Path: path, Problem: err.Error(), Err: err}
	}
	defer func() { _ = os.RemoveAll(private) }() // the name of the socket in it, and one that was stale
	made, err := bind(ctx, private, owner)
	if err != nil {
		return nil, &SocketError{Path: path, Problem: err.Error(), Err: err}
	}
	s := &socket{UnixListener: made, path: path}
	if s.file, err = os.Lstat(filepath.Join(private, newName)); err == nil {
		err = place(ctx, private, path)
	}
	if err != nil {
		return nil, errors.Join(asSocketError(path, err), made.Close())
	}
	return s, nil
}

func asSocketError(path string, err error) error {
	if _, ok := errors.AsType[*SocketError](err); ok {
		return err
	}
	return &SocketError{Path: path, Problem: err.Error(), Err: err}
}

// Names in the directory that a socket is made in.
const (
	newName   = "s"
	staleName = "stale"
)

// makeParent makes the directory of a socket, which below /run is gone after a boot.
// Its own has to be there.
func makeParent(dir string) error {
	err := os.Mkdir(dir, 0o755) //nolint:gosec // those whom the socket is for have to enter it
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// takeTurn waits until nobody else makes a socket in a directory, and returns what ends
// the turn. Others who may read the directory can keep it locked: it is not waited for
// long.
func takeTurn(ctx context.Context, dir string) (end func()) {
	lock, err := os.Open(dir)
	if err != nil {
		return func() {} // what is done there says it better
	}
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	every := time.NewTicker(turnPoll)
	defer every.Stop()
	for errors.Is(unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) && ctx.Err() == nil {
		select {
		case <-every.C:
		case <-ctx.Done():
		}
	}
	return func() { _ = lock.Close() } // which gives the lock back
}

// checkFree tells whether a socket may be made at path: nothing is there, or one at which
// nobody answers.
func checkFree(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &SocketError{Path: path, Problem: err.Error(), Err: err}
	case info.Mode().Type() != fs.ModeSocket:
		return &SocketError{Path: path, Problem: "there is something that is no socket; it is left alone"}
	}
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		pid := holder(conn)
		_ = conn.Close() // nothing was said
		return inUse(path, pid)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, context.DeadlineExceeded):
		return inUse(path, 0) // so many wait for an answer that there is no room for more
	default:
		return &SocketError{Path: path, Problem: "find out whether somebody answers there: " + err.Error(), Err: err}
	}
}

func inUse(path string, pid int) error {
	problem := "another process answers there"
	if pid > 0 {
		problem = fmt.Sprintf("process %d answers there", pid)
	}
	return &SocketError{Path: path, Problem: problem, InUse: true, PID: pid}
}

// bind makes a socket in a directory and gives it away.
func bind(ctx context.Context, dir string, owner ownership) (*net.UnixListener, error) {
	path := filepath.Join(dir, newName)
	address := path
	if len(path) > MaxPath { // the one that it gets is shorter
		root, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }() // it was not written to
		address = fmt.Sprintf("/proc/self/fd/%d/%s", root.Fd(), newName)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errors.New("internal error: not a unix socket"), l.Close())
	}
	listener.SetUnlinkOnClose(false)
	if err := errors.Join(shorten(listener), owner.give(path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return listener, nil
}

// shorten has at most maxQueue connections wait to be accepted.
func shorten(l *net.UnixListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), maxQueue) })
	return errors.Join(err, failed)
}

// give gives a file to its owner and group. Only root may give something to another
// user; others may to a group that they are in.
func (o ownership) give(path string) error {
	if o.gid != nobody {
		if err := os.Chown(path, -1, o.gid); err != nil {
			return fmt.Errorf("give it to group %d: %w; want a manager that is started by root or is in that group", o.gid, err)
		}
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return err
	}
	if o.uid == nobody {
		return nil
	}
	if err := os.Chown(path, o.uid, -1); err != nil {
		return fmt.Errorf("give it to user %d: %w; want a manager that is started by root", o.uid, err)
	}
	return nil
}

// place moves a socket that was made in a directory to its path.
func place(ctx context.Context, private, path string) error {
	stale := filepath.Join(private, staleName)
	err := os.Rename(path, stale)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil { // another manager may have made its own there meanwhile
		if busy := checkFree(ctx, stale); busy != nil {
			if held, ok := errors.AsType[*SocketError](busy); ok {
				held.Path = path
			}
			return errors.Join(busy, moveNew(stale, path))
		}
	}
	err = moveNew(filepath.Join(private, newName), path)
	if errors.Is(err, fs.ErrExist) {
		return inUse(path, 0)
	}
	return err
}

// moveNew renames a file and replaces nothing.
func moveNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // of the file system, or the kernel
		return os.Link(from, to)
	}
	return err
}

// remove removes the socket, unless another one is in its place by now.
func (s *socket) remove() error {
	info, err := os.Lstat(s.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, s.file) {
		return nil
	}
	return errors.Join(err, os.Remove(s.path))
}
