package exec

import (
	"fmt"
	"strings"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// ExitError is the error of a job whose executable ended with another status than
// 0.
type ExitError struct {
	Exit   supervisor.Exit
	Stderr []string // the last lines
}

// Error gives the status, and what the executable said last.
func (e *ExitError) Error() string { return withTail(e.Exit.String(), e.Stderr) }

// ResultSizeError is the error of a job whose executable wrote more than a result
// may have.
type ResultSizeError struct {
	Size int64 // bytes that were read before the executable was killed
	Max  int64
}

// Error names both sizes.
func (e *ResultSizeError) Error() string {
	return fmt.Sprintf("result has %d bytes or more, the limit is %d", e.Size, e.Max)
}

// crashed is the error of a job whose executable was killed by a signal.
func crashed(exit supervisor.Exit, stderr []string) error {
	return &plugins.CrashError{Cause: withTail(exit.String(), stderr)}
}

func withTail(what string, lines []string) string {
	text := strings.TrimSpace(strings.Join(lines, "\n"))
	if text == "" {
		return what
	}
	return what + ": " + text
}
