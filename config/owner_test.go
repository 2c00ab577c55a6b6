package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// nobody is a user without any rights.
const nobody = 65534

// checkOwner compares owner and group of a file.
func checkOwner(t *testing.T, path string, uid, gid uint32) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != uid || s.Gid != gid {
		t.Errorf("%s belongs to %v, want %d:%d", path, info.Sys(), uid, gid)
	}
}

// asNobody calls f as a user who may do no more than others, who can reach dir. The rights are those of one thread, which ends with it.
func asNobody(t *testing.T, dir string, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	for at := dir; at != filepath.Dir(at) && at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			result <- errno
			return
		}
		result <- f()
	}()
	return <-result
}
