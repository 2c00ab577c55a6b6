package supervisor

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// LimitError says why a limit cannot be set.
type LimitError struct {
	Limit string // "nofile", "data", "core" or "nice"
	Value string // that was wanted, a number or "unlimited"
	// Bound is what stands against it: the present hard limit of the process, a
	// number or "unlimited"; for nice the lowest that is allowed.
	Bound  string
	Advice string // what to do; empty if nothing is known
	Err    error  // a syscall.Errno: EPERM above the hard limit, EACCES for nice
}

// Error names the limit, both values and what to do.
func (e *LimitError) Error() string {
	text := fmt.Sprintf("limit %s = %s cannot be set, the hard limit is %s: ", e.Limit, e.Value, e.Bound)
	if e.Limit == niceLimit {
		text = fmt.Sprintf("nice = %s cannot be set, the lowest allowed here is %s: ", e.Value, e.Bound)
	}
	if e.Advice == "" {
		return text + e.Err.Error()
	}
	return text + e.Advice
}

// Unwrap returns what the kernel said.
func (e *LimitError) Unwrap() error { return e.Err }

const niceLimit = "nice"

// refused describes a limit that the kernel refuses, or would, above that hard limit.
func (r resource) refused(hard uint64, err error) *LimitError {
	e := &LimitError{Limit: r.name, Value: amount(r.value), Bound: amount(hard), Err: err}
	switch {
	case !errors.Is(err, unix.EPERM):
	case r.number == unix.RLIMIT_NOFILE && r.value > maxNoFile():
		e.Advice = fmt.Sprintf("no process may open more than fs.nr_open = %d; raise that (sysctl), or choose a lower value", maxNoFile())
	case r.value > hard && r.value <= ownHard(r.number):
		e.Advice = "a process that runs has its limit raised only by one with CAP_SYS_RESOURCE; a new process can have it"
	case r.value > hard:
		e.Advice = fmt.Sprintf("raise that (%s= in the systemd unit, %s in a shell), or choose a lower value", r.unit, r.shell)
	default:
		e.Advice = "the program runs as another user or with other privileges"
	}
	return e
}

// niceRefused describes a priority that the kernel refuses that process.
func (l Limits) niceRefused(pid int, err error) *LimitError {
	return &LimitError{
		Limit: niceLimit, Value: fmt.Sprint(l.Nice), Bound: fmt.Sprint(lowestNice(pid)), Err: err,
		Advice: "run with CAP_SYS_NICE, raise the limit (LimitNICE= in the systemd unit, ulimit -e in a shell), or choose a higher value",
	}
}

// ownHard is this process's own hard limit, up to which it may start others.
func ownHard(resource int) uint64 {
	var own unix.Rlimit
	if err := unix.Getrlimit(resource, &own); err != nil {
		return 0
	}
	return own.Max
}

func amount(value uint64) string {
	if value == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return fmt.Sprint(value)
}
