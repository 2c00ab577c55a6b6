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
	end, _ := look(idType, id)
	return int(end.pid)
}

// isChild tells whether a process is a child of this one, alive or not collected.
func isChild(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// killed tells whether a child that has ended died of SIGKILL.
func killed(pid int) bool {
	end, code := look(unix.P_PID, pid)
	return code == cldKilled && end.status == int32(unix.SIGKILL)
}

// cldKilled is CLD_KILLED of asm-generic/siginfo.h: the si_code of a child that a
// signal has ended, without a core file.
const cldKilled = 2

// childEnd is what follows the three ints of siginfo_t, aligned as a pointer is,
// if the signal is SIGCHLD.
type childEnd struct {
	pid    int32
	uid    uint32
	status int32
}

// look asks for a child that has ended; its pid is 0 if there is none.
func look(idType, id int) (end childEnd, code int32) {
	return waitFor(idType, id, unix.WEXITED|unix.WNOWAIT)
}

// waitFor asks for a child to which that has happened, without waiting for it.
func waitFor(idType, id, what int) (end childEnd, code int32) {
	const (
		word   = unsafe.Sizeof(uintptr(0))
		offset = (3*4 + word - 1) &^ (word - 1)
	)
	var info unix.Siginfo
	for {
		err := unix.Waitid(idType, id, &info, what|unix.WNOHANG, nil)
		switch {
		case err == nil:
			return *(*childEnd)(unsafe.Add(unsafe.Pointer(&info), offset)), info.Code
		case !errors.Is(err, unix.EINTR): // ECHILD
			return childEnd{}, 0
		}
	}
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
