package supervisor

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	PID int
	// Code is the status that the process gave, 0 to 255, or -1 if a signal
	// killed it. -1 without a signal means that the status is not known, because
	// something beside the Supervisor waited for the process.
	Code int
	// Signal is the signal that killed the process, or zero.
	Signal syscall.Signal
	// CoreDumped tells whether the kernel wrote a core file.
	CoreDumped bool
	// OOM tells that the kernel killed the process because memory had run out, on the
	// whole machine or for its control group. It is concluded: the process died of a
	// SIGKILL that was not sent through its Process, and the kernel's counter of such
	// kills has risen. Exits of orphans never say so.
	OOM bool
	// At is when the reaper collected the process.
	At time.Time
	// User and System are the CPU time of the process and of those children that
	// it waited for.
	User, System time.Duration
	// MaxRSS is the largest resident set in bytes. Linux counts the memory which
	// a process shares with its parent between fork and exec, so it is never less
	// than what this process used at the start.
	MaxRSS int64
}

// Success tells whether the process ended by itself with status 0.
func (e Exit) Success() bool { return e.Signal == 0 && e.Code == 0 }

// String says it in words: "exited with status 3", "killed by SIGSEGV (core
// dumped)", "killed by SIGKILL (out of memory)".
func (e Exit) String() string {
	if e.Signal == 0 && e.Code < 0 {
		return "ended, its status was taken by somebody else"
	}
	if e.Signal == 0 {
		return fmt.Sprintf("exited with status %d", e.Code)
	}
	text := "killed by " + signalName(e.Signal)
	if e.OOM {
		text += " (out of memory)"
	}
	if e.CoreDumped {
		text += " (core dumped)"
	}
	return text
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(sig))
}

func newExit(pid int, status unix.WaitStatus, usage *unix.Rusage) Exit {
	e := Exit{
		PID:    pid,
		Code:   status.ExitStatus(),
		At:     time.Now(),
		User:   time.Duration(usage.Utime.Nano()),
		System: time.Duration(usage.Stime.Nano()),
		MaxRSS: int64(usage.Maxrss) * 1024, //nolint:unconvert // kilobytes, says getrusage(2); 32 bits on some machines
	}
	if status.Signaled() {
		e.Signal, e.CoreDumped = status.Signal(), status.CoreDump()
	}
	return e
}
