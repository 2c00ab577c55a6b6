package standalone

import (
	"errors"
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// ErrFixed is the cause of a Set that wants to change what a standalone worker got
// when it was started.
var ErrFixed = errors.New("a standalone worker takes nothing but limits while it runs")

// StartError is for a program that ended before it was ready.
type StartError struct {
	Name  string          // of the worker
	Lived time.Duration   // from its start to its end
	Want  time.Duration   // how long it has to live to be ready
	Err   *host.ExitError // the program, its exit, and the last lines that it printed
}

// Error names the worker and the program and says how it ended, with the line that
// tells most of what it printed.
func (e *StartError) Error() string {
	text := fmt.Sprintf("start %s with %s: it %s after %v, want it to run for %v at least", e.Name, e.Err.Path,
		ended(e.Err.Exit), e.Lived.Round(time.Millisecond), e.Want)
	if e.Err.Exit.Success() {
		text += ", in the foreground"
	}
	if line := quote.Telling(e.Err.Tail); line != "" {
		text += fmt.Sprintf(": it printed %q", quote.Line(line))
	}
	return text
}

// Unwrap returns Err.
func (e *StartError) Unwrap() error { return e.Err }

// ended says how a process ended, as what it did.
func ended(e supervisor.Exit) string {
	if e.Signal != 0 {
		return "was " + e.String()
	}
	return e.String()
}
