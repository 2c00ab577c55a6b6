package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// stale leaves a socket at which nobody answers.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func closeServer(t *testing.T, s *control.Server) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStaleSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "run", "control") // the directory is made too
	for range 2 {
		s, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := control.NewClient(path).Manager(t.Context()); err != nil {
			t.Error(err)
		}
		closeServer(t, s)
		stale(t, path)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "run", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || info.Mode().Perm() != 0o755&^umask(t) {
		t.Errorf("its directory has %v, %v", info.Mode(), err)
	}
}

// umask is that of this process.
func umask(t *testing.T) os.FileMode {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return 0o777 &^ info.Mode().Perm()
}

func TestLiveSocket(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	_, err := control.Open(t.Context(), control.Config{Path: r.path, Fleet: &fakeFleet{}})
	e, ok := errors.AsType[*control.SocketError](err)
	if want := fmt.Sprintf("open control socket %s: process %d answers there", r.path, os.Getpid()); !ok || !e.InUse || e.PID != os.Getpid() || e.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	// One that is too busy to take connections lives too.
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	var held []net.Conn
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		conn, err := d.DialContext(ctx, "unix", path)
		cancel()
		if err != nil {
			break
		}
		held = append(held, conn)
	}
	_, err = control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
	if e, ok := errors.AsType[*control.SocketError](err); !ok || !e.InUse {
		t.Errorf("one whose queue is full: %v", err)
	}
	for _, c := range held {
		_ = c.Close()
	}
}

// TestNoSocket: what is no socket is left alone.
func TestNoSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make0 := func(name string, do func(string) error) string {
		path := filepath.Join(dir, name)
		if err := do(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	live := open(t, &fakeFleet{})
	const left = "there is something that is no socket; it is left alone"
	for path, want := range map[string]string{
		make0("file", func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }): left,
		make0("dir", func(p string) error { return os.Mkdir(p, 0o700) }):                   left,
		make0("pipe", func(p string) error { return syscall.Mkfifo(p, 0o600) }):            left,
		make0("link", func(p string) error { return os.Symlink(live.path, p) }):            left,
		filepath.Join(dir, "no", "such", "directory"):                                      "no such file or directory",
		filepath.Join(dir, "file", "control"):                                              "not a directory",
		filepath.Join(dir, strings.Repeat("x", 108)):                                       "bytes long, want at most 107",
		"": "no such file or directory",
	} {
		s, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
		if err == nil {
			closeServer(t, s)
		}
		e, ok := errors.AsType[*control.SocketError](err)
		if !ok || e.InUse || !strings.Contains(err.Error(), want) && path != "" {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	for _, name := range []string{"file", "dir", "pipe", "link"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
}

// TestLongPath: a path that the kernel takes is taken, whatever is needed to make it.
func TestLongPath(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "c") //nolint:usetesting // that of a test may be long itself
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, strings.Repeat("x", control.MaxPath-len(dir)-1))
	s, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.NewClient(path).Manager(t.Context()); err != nil || s.Path() != path {
		t.Error(err)
	}
	closeServer(t, s)
}

// TestManyOpenOne: of those who find the same stale socket one gets its place, and
// keeps it.
func TestManyOpenOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control")
	for range 20 {
		stale(t, path)
		var opening sync.WaitGroup
		var mu sync.Mutex
		var servers []*control.Server
		for range 8 {
			opening.Go(func() {
				s, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					servers = append(servers, s)
				} else if e, ok := errors.AsType[*control.SocketError](err); !ok || !e.InUse {
					t.Error(err)
				}
			})
		}
		opening.Wait()
		if len(servers) != 1 {
			t.Errorf("%d have it", len(servers))
		}
		if _, err := control.NewClient(path).Manager(t.Context()); err != nil {
			t.Error(err)
		}
		for _, s := range servers {
			closeServer(t, s)
		}
	}
}

// TestLockedDirectory: somebody who keeps the directory locked keeps nobody from making a
// socket in it, for long.
func TestLockedDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control")
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	s, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
	if err != nil {
		t.Fatal(err)
	}
	closeServer(t, s)
}

// TestSocketOfAnother: the socket of a manager that took its place is not removed.
func TestSocketOfAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control")
	first, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // by somebody who cleans up
		t.Fatal(err)
	}
	second, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}})
	if err != nil {
		t.Fatal(err)
	}
	closeServer(t, first)
	if _, err := control.NewClient(path).Manager(t.Context()); err != nil {
		t.Errorf("the second one: %v", err)
	}
	closeServer(t, second)
}

// stranger is a user and a group that are nobody's here.
const stranger = 64_321

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
}

// as calls f in a thread of its own with other credentials. What f does has to be done
// in that thread: no other goroutine may be asked.
func as(uid, gid int, groups []uint32, f func()) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var first unsafe.Pointer
		if len(groups) > 0 {
			first = unsafe.Pointer(&groups[0])
		}
		for _, call := range [][4]uintptr{
			{syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first)},
			{syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
			{syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				done <- errno
				return
			}
		}
		f()
		done <- nil
	}()
	return <-done
}

// askAs asks with other credentials, and returns the status line, or why that could not
// be.
func askAs(t *testing.T, path string, uid, gid int, groups ...uint32) (answer string) {
	t.Helper()
	var fd int
	var err error
	if failed := as(uid, gid, groups, func() {
		if fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err == nil {
			err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
		}
	}); failed != nil {
		t.Fatal(failed)
	}
	conn := os.NewFile(uintptr(fd), "socket")
	defer func() { _ = conn.Close() }()
	if err != nil {
		return err.Error()
	}
	if _, err := io.WriteString(conn, "GET /v1/manager HTTP/1.0\r\n\r\n"); err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return err.Error()
	}
	head, body, _ := strings.Cut(string(text), "\r\n\r\n")
	status, _, _ := strings.Cut(head, "\r\n")
	if strings.Contains(status, "200") {
		return "answered"
	}
	return strings.TrimSpace(body)
}

// reachable is a directory that others can enter, with a path for a socket in it.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "control-") //nolint:usetesting // others cannot enter that of a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "control")
}

// TestWhoMayAsk: with real users and groups.
func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const (
		denied     = `{"error":"permission denied"}`
		unreached  = "permission denied"
		other      = stranger + 1
		someGroup  = stranger + 2
		otherGroup = stranger + 3
	)
	for _, c := range []struct {
		name         string
		owner, group string
		mode         os.FileMode
		uid, gid     int
		groups       []uint32
		want         string
	}{
		{"nothing configured", "", "", 0o660, stranger, stranger, nil, unreached},
		{"root", "", "", 0o660, 0, 0, nil, "answered"},
		{"root where somebody owns it", fmt.Sprint(stranger), "", 0o660, 0, 0, nil, "answered"},
		{"its owner", fmt.Sprint(stranger), "", 0o660, stranger, stranger, nil, "answered"},
		{"another user", fmt.Sprint(stranger), "", 0o660, other, other, nil, unreached},
		{"the group as its own", "", fmt.Sprint(someGroup), 0o660, stranger, someGroup, nil, "answered"},
		{"the group as a further one", "", fmt.Sprint(someGroup), 0o660, stranger, stranger, []uint32{otherGroup, someGroup}, "answered"},
		{"another group", "", fmt.Sprint(someGroup), 0o660, stranger, otherGroup, []uint32{stranger}, unreached},
		{"opened by accident", "", "", 0o666, stranger, stranger, nil, denied},
		{"opened by accident, of a group", "", fmt.Sprint(someGroup), 0o666, stranger, stranger, []uint32{otherGroup}, denied},
		{"opened by accident, of an owner", fmt.Sprint(stranger), "", 0o666, other, other, nil, denied},
		{"the group of root", "", "", 0o660, stranger, 0, nil, denied},
	} {
		path := reachable(t)
		s, err := control.Open(t.Context(), control.Config{Path: path, Owner: c.owner, Group: c.group, Fleet: &fakeFleet{}})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeSocket|0o660 {
			t.Errorf("%s: %v, %v", c.name, info.Mode(), err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if got := askAs(t, path, c.uid, c.gid, c.groups...); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		closeServer(t, s)
	}
}

// TestManyGroups: a peer may be in more groups than there is room for at first.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	needRoot(t)
	path := reachable(t)
	s, err := control.Open(t.Context(), control.Config{Path: path, Group: fmt.Sprint(stranger + 999), Fleet: &fakeFleet{}})
	if err != nil {
		t.Fatal(err)
	}
	var groups []uint32
	for i := range uint32(1000) {
		groups = append(groups, stranger+i)
	}
	if got := askAs(t, path, stranger, stranger, groups...); got != "answered" {
		t.Error(got)
	}
	closeServer(t, s)
}

// TestOwnership: names, and what cannot be done.
func TestOwnership(t *testing.T) {
	t.Parallel()
	path := reachable(t)
	for _, c := range []struct{ owner, group, want string }{
		{"no such user", "", `find its owner: there is no user "no such user"`},
		{"", "no such group", `find its group: there is no group "no such group"`},
		{"-1", "", `there is no user "-1"`},
		{"4294967295", "", `there is no user "4294967295"`},
	} {
		_, err := control.Open(t.Context(), control.Config{Path: path, Owner: c.owner, Group: c.group, Fleet: &fakeFleet{}})
		if _, ok := errors.AsType[*control.SocketError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	needRoot(t)
	s, err := control.Open(t.Context(), control.Config{Path: path, Owner: "nobody", Group: "nogroup", Fleet: &fakeFleet{}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if stat, ok := info.Sys().(*syscall.Stat_t); err != nil || !ok || stat.Uid != 65534 || stat.Gid != 65534 {
		t.Errorf("%+v, %v", stat, err)
	}
	closeServer(t, s)
	for _, c := range []struct{ owner, group, want string }{
		{fmt.Sprint(stranger + 1), "", fmt.Sprintf("give it to user %d: chown", stranger+1)},
		{"", fmt.Sprint(stranger + 1), fmt.Sprintf("give it to group %d: chown", stranger+1)},
		{"", fmt.Sprint(stranger + 2), ""},
	} {
		path := reachable(t)
		if err := os.Chown(filepath.Dir(path), stranger, stranger); err != nil {
			t.Fatal(err)
		}
		if failed := as(stranger, stranger, []uint32{stranger + 2}, func() {
			s, err = control.Open(t.Context(), control.Config{Path: path, Owner: c.owner, Group: c.group, Fleet: &fakeFleet{}})
		}); failed != nil {
			t.Fatal(failed)
		}
		if err == nil {
			closeServer(t, s)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "want a manager that is started by root")) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	}
}

// TestNoWindow: whoever looks sees no socket, or one with the rights that it is to have.
func TestNoWindow(t *testing.T) {
	t.Parallel()
	needRoot(t)
	path := reachable(t)
	ctx, cancel := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looking.Go(func() {
		for ctx.Err() == nil {
			info, err := os.Lstat(path)
			if err != nil {
				continue
			}
			if stat, ok := info.Sys().(*syscall.Stat_t); !ok || info.Mode() != os.ModeSocket|0o660 || stat.Uid != stranger || stat.Gid != stranger+1 {
				t.Errorf("%v of %d and %d", info.Mode(), stat.Uid, stat.Gid)
				return
			}
		}
	})
	for range 200 {
		s, err := control.Open(t.Context(), control.Config{Path: path, Owner: fmt.Sprint(stranger), Group: fmt.Sprint(stranger + 1), Fleet: &fakeFleet{}})
		if err != nil {
			t.Error(err)
			break
		}
		closeServer(t, s)
	}
	cancel()
	looking.Wait()
}

// TestStrangersTakeNoRoom: where the socket was opened by accident, those who may not ask
// keep nobody out, and it is not told each time.
func TestStrangersTakeNoRoom(t *testing.T) {
	t.Parallel()
	needRoot(t)
	path := reachable(t)
	r := &rig{path: path, client: control.NewClient(path)}
	s, err := control.Open(t.Context(), control.Config{Path: path, Fleet: &fakeFleet{}, OnChange: r.change})
	if err != nil {
		t.Fatal(err)
	}
	defer closeServer(t, s)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	var held []int
	if failed := as(stranger, stranger, nil, func() {
		for range control.MaxConns * 3 {
			if fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err == nil {
				held = append(held, fd)
				_ = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
				_, _ = syscall.Write(fd, []byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")) // some are closed at once
			}
		}
	}); failed != nil {
		t.Fatal(failed)
	}
	begun := time.Now()
	if _, err := r.client.Status(t.Context()); err != nil || time.Since(begun) > testutil.Patience/4 {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	for _, fd := range held {
		_ = syscall.Close(fd)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changes) != 1 || !strings.Contains(r.changes[0], fmt.Sprintf("UID:%d GID:%d", stranger, stranger)) || !strings.HasSuffix(r.changes[0], "permission denied") {
		t.Errorf("told %q", r.changes)
	}
}
