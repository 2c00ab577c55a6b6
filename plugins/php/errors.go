package php

import (
	"errors"
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// ErrClosed is the error of a host, or a generation, that has been closed.
var ErrClosed = errors.New("host of php workers is closed")

// ErrBacklog is the cause of a call to a worker that has not read what it was told
// before: more than 8 MiB of it wait.
var ErrBacklog = errors.New("too much waits that it was told before")

// errSlow is the cause of a context that ended because a process took too long.
var errSlow = errors.New("took too long")

// StartError is for a php process that never became ready.
type StartError struct {
	Name string // of the worker, or what the process was to be
	Path string // of the interpreter
	Err  error  // *host.ExitError, *host.TimeoutError or *host.RefusedError
}

// Error names the process and the interpreter and says what happened, with the line
// of its standard error that tells most.
func (e *StartError) Error() string {
	text, tail := e.what()
	text = fmt.Sprintf("start %s with %s: %s", e.Name, e.Path, text)
	if line := quote.Telling(tail); line != "" {
		text += fmt.Sprintf(": its standard error says %q", quote.Line(line))
	}
	return text
}

func (e *StartError) what() (text string, tail []string) {
	var (
		exit    *host.ExitError
		timeout *host.TimeoutError
		refused *host.RefusedError
	)
	switch {
	case errors.As(e.Err, &exit):
		return fmt.Sprintf("it %s before it was ready", ended(exit.Exit)), exit.Tail
	case errors.As(e.Err, &timeout):
		return fmt.Sprintf("no %s within %v", timeout.What, timeout.After), timeout.Tail
	case errors.As(e.Err, &refused):
		return refused.Reason, nil // which is what it wanted to say
	default:
		return e.Err.Error(), nil
	}
}

// ended says how a process ended, as what it did.
func ended(e supervisor.Exit) string {
	if e.Signal != 0 {
		return "was " + e.String()
	}
	return e.String()
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// WarmError is for files that a generation could not load. The others it holds.
type WarmError struct {
	Findings []Finding // one at least
}

// Error quotes the first and says how many others there are.
func (e *WarmError) Error() string {
	f := e.Findings[0]
	text := fmt.Sprintf("load %s: %s", f.Path, quote.Line(f.Err))
	if n := len(e.Findings) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more files)", n)
	}
	return text
}

// ProtocolError is for a peer that says what it should not.
type ProtocolError struct {
	Line   string // what it said, cut to a bearable length; may be empty
	Reason string
}

// Error quotes the line.
func (e *ProtocolError) Error() string {
	if e.Line == "" {
		return e.Reason
	}
	return fmt.Sprintf("%s: %q", e.Reason, e.Line)
}

// refusal is what a worker says instead of hello.
type refusal string

// Error is what the worker said.
func (r refusal) Error() string { return string(r) }

// lostError is for a parent that does not serve any more.
type lostError struct {
	what  string        // that was waited for
	late  bool          // it lives, and does not answer
	after time.Duration // then
	said  string        // what it printed before it died; may be empty
}

// Error says which of the two it is.
func (e *lostError) Error() string {
	if e.late {
		return fmt.Sprintf("the php that forks does not answer: no %s within %v", e.what, e.after)
	}
	text := fmt.Sprintf("the php that forks has died: no %s", e.what)
	if e.said != "" {
		text += fmt.Sprintf(": its standard error says %q", quote.Line(e.said))
	}
	return text
}
