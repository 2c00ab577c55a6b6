package supervisor

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peek returns a child that has ended without collecting it, or 0 if there is
// none: then either every child runs, or there is no child.
func peek(idType, id int) int {
	var info unix.Siginfo
	for {
		err := unix.Waitid(idType, id, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		switch {
		case err == nil:
			return siginfoPID(&info)
		case !errors.Is(err, unix.EINTR): // ECHILD
			return 0
		}
	}
}

// siginfoPID returns si_pid, the first field of the union that follows the three
// ints of siginfo_t; the union is aligned as pointers are.
func siginfoPID(info *unix.Siginfo) int {
	const (
		word   = unsafe.Sizeof(uintptr(0))
		offset = (3*4 + word - 1) &^ (word - 1)
	)
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

// collect takes the status of a child that peek has shown.
func collect(pid int) (Exit, error) {
	var (
		status unix.WaitStatus
		usage  unix.Rusage
	)
	for {
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, &usage)
		switch {
		case err == nil && got == pid:
			return newExit(pid, status, &usage), nil
		case err == nil:
			return Exit{}, fmt.Errorf("internal error: process %d runs after its end", pid)
		case !errors.Is(err, unix.EINTR):
			return Exit{PID: pid, Code: -1, At: time.Now()}, fmt.Errorf("wait for process %d: %w", pid, err)
		}
	}
}
