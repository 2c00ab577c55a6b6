package plugins

import (
	"fmt"
	"time"
)

// CrashError is returned by a handler that performs jobs in processes of their
// own when such a process died. The job then goes back to the queue or fails,
// as the function's on_crash says.
type CrashError struct {
	Cause string // such as "killed by SIGSEGV"
}

// Error gives the cause.
func (e *CrashError) Error() string { return "the program that performed the job died: " + e.Cause }

// TimeoutError is the cause of the end of a handler's context when the job was
// over its function's timeout; see [context.Cause].
type TimeoutError struct {
	Timeout time.Duration
}

// Error names the limit.
func (e *TimeoutError) Error() string { return fmt.Sprintf("timed out after %v", e.Timeout) }

// panicError is a handler's panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }
