package host

import (
	"errors"
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// ErrEnded is the error of a call to a worker whose process has ended.
var ErrEnded = errors.New("worker has ended")

// errSlow is the cause of a context that ended because a program took too long.
var errSlow = errors.New("took too long")

// DirError says why a runtime directory is not used.
type DirError struct {
	Dir     string
	Problem string
}

// Error names the directory and what is wrong with it.
func (e *DirError) Error() string {
	return fmt.Sprintf("use runtime directory %q: it %s", e.Dir, e.Problem)
}

// VersionError is for a plugin that speaks another version of the contract.
type VersionError struct {
	Path    string // of the program
	Plugin  int    // version that it speaks
	Manager int    // version that is spoken here
}

// Error names the file and both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("start plugin %s: it speaks version %d of the worker contract, this manager version %d: build it again with the matching version of the plugins package",
		e.Path, e.Plugin, e.Manager)
}

// HandshakeError is for a program that printed something else than the handshake
// of a plugin.
type HandshakeError struct {
	Path string
	Line string // the first that it printed, cut to a bearable length
}

// Error quotes the line.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("start plugin %s: it is no worker plugin, or prints before plugins.Serve is called: its first line is %q", e.Path, e.Line)
}

// ExitError is for a program that ended before it was ready to work.
type ExitError struct {
	Path string
	Exit supervisor.Exit
	Tail []string // the last lines of its standard error, oldest first
}

// Error says how it ended, and gives the line of its standard error that tells
// most.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("start plugin %s: it %s before it was ready", e.Path, e.Exit)
	if line := quote.Telling(e.Tail); line != "" {
		text += fmt.Sprintf(": %q", quote.Line(line))
	}
	return text
}

// TimeoutError is for a program that was killed because it did not answer.
type TimeoutError struct {
	Path  string
	After time.Duration
	What  string   // that was waited for
	Line  string   // the first that it printed, if it did
	Tail  []string // the last lines of its standard error, oldest first
}

// Error says what was waited for, and how long.
func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("start plugin %s: no %s within %v", e.Path, e.What, e.After)
	if e.Line != "" {
		text += fmt.Sprintf(": its first line is %q", e.Line)
	}
	if line := quote.Telling(e.Tail); line != "" {
		text += fmt.Sprintf(": its standard error says %q", quote.Line(line))
	}
	return text
}

// Timeout is true: another try may succeed.
func (e *TimeoutError) Timeout() bool { return true }

// RefusedError is for a worker that answered Run with an error, or with something
// that the contract does not allow.
type RefusedError struct {
	Path   string
	Reason string
	Tail   []string // the last lines of its standard error, oldest first
}

// Error gives the worker's reason.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("start plugin %s: %s", e.Path, e.Reason)
}
