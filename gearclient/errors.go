package gearclient

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is wrapped by the errors of everything that a Close ended.
var ErrClosed = errors.New("the client was closed")

// ErrAbandoned is the end of a [Task] on which Abandon was called.
var ErrAbandoned = errors.New("job abandoned")

// SafeToRetry reports whether err says for sure that the request was not
// carried out, so that sending it again, now or later, cannot make a job run
// twice: a server could not be reached, refused, or the connection broke before
// anything was sent. It is false for an error that says nothing about this, and
// for a request that would never succeed.
func SafeToRetry(err error) bool {
	var e interface{ SafeToRetry() bool }
	return errors.As(err, &e) && e.SafeToRetry()
}

// RequestError says that a request cannot be sent to any server as it is.
type RequestError struct {
	Function string
	Problem  string
}

// Error names the function and the problem.
func (e *RequestError) Error() string {
	return fmt.Sprintf("invalid request for function %q: %s", e.Function, e.Problem)
}

// UnreachableError says that none of several servers took a request; each has
// its own reason. Nothing was sent.
type UnreachableError struct {
	Errs []error
}

// Error lists the reasons, one for each server.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no job server can be reached: %v", errorList(e.Errs))
}

// errorList shows several errors on one line.
type errorList []error

func (l errorList) String() string {
	texts := make([]string, len(l))
	for i, err := range l {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the reasons.
func (e *UnreachableError) Unwrap() []error { return e.Errs }

// SafeToRetry is true: nothing was sent.
func (e *UnreachableError) SafeToRetry() bool { return true }

// ExceptionError says that a job ended with an exception.
type ExceptionError struct {
	Server string
	Handle string
	Data   []byte // what the worker says about it
}

// Error names the job and what the worker says, cut after 1 KiB.
func (e *ExceptionError) Error() string {
	data, cut := e.Data, ""
	if len(data) > 1<<10 {
		data, cut = data[:1<<10], fmt.Sprintf("… (%d bytes)", len(e.Data))
	}
	return fmt.Sprintf("job %s on %s: exception: %s%s", e.Handle, e.Server, data, cut)
}

// FailError says that a job failed without a word. That is also how a server
// reports a job that it gave up, and an exception to a client that did not ask
// for exceptions.
type FailError struct {
	Server string
	Handle string
}

// Error names the job.
func (e *FailError) Error() string {
	return fmt.Sprintf("job %s on %s failed", e.Handle, e.Server)
}

// LostError says that the connection to a server broke while a request or a job
// waited on it. What became of the job is not known; gearmand drops a
// foreground job of a client that left if it still queues, and lets one that
// runs run on.
type LostError struct {
	Server string
	Handle string // of the job; empty if the server had not named it
	Err    error  // why the connection broke

	safe bool
}

// Error names the server, the job and the reason.
func (e *LostError) Error() string {
	if e.Handle == "" {
		return fmt.Sprintf("connection to job server %s lost: %v", e.Server, e.Err)
	}
	return fmt.Sprintf("connection to job server %s lost, job %s: %v", e.Server, e.Handle, e.Err)
}

// Unwrap gives the reason.
func (e *LostError) Unwrap() error { return e.Err }

// SafeToRetry is true if nothing was sent, or if what was sent only asked.
func (e *LostError) SafeToRetry() bool { return e.safe }
