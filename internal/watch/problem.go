package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	sysctlWatches   = "fs.inotify.max_user_watches"
	sysctlInstances = "fs.inotify.max_user_instances"
)

// LimitError says that a table of the kernel is full.
type LimitError struct {
	// Sysctl is the setting that bounds the table.
	Sysctl string
	// Value is what it is set to; empty if that cannot be read.
	Value string
	// Err is what the system said.
	Err error
}

// Error says which limit is reached, and what can be raised.
func (e *LimitError) Error() string {
	what := "inotify watches"
	if e.Sysctl == sysctlInstances {
		what = "inotify instances"
	}
	value := ""
	if e.Value != "" {
		value = " (" + e.Value + ")"
	}
	return fmt.Sprintf("the programs of this user have used up their %s, want a higher sysctl %s%s", what, e.Sysctl, value)
}

// Unwrap returns what the system said.
func (e *LimitError) Unwrap() error { return e.Err }

// TooManyError says that more directories would have to be watched than a Watcher does.
type TooManyError struct {
	// Limit is how many are watched at most.
	Limit int
}

// Error says what is too many, and what may be the cause.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("more than %d directories would have to be watched, want a glob that matches fewer", e.Limit)
}

// openProblem makes an error for operators of one that came from making a notifier.
func openProblem(err error) error {
	if !errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("inotify cannot be used: %w", err)
	}
	value, readErr := sysctl(sysctlInstances)
	if errors.Is(readErr, unix.EMFILE) {
		return fmt.Errorf("inotify cannot be used, want a higher limit of open files for this process: %w", err)
	}
	return &LimitError{Sysctl: sysctlInstances, Value: value, Err: err}
}

// addProblem makes an error for operators of one that came from watching a directory. It is nil if the directory is not there any more, and
// if it cannot be read but is only a step on the way.
func addProblem(dir string, err error, needed bool) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		value, _ := sysctl(sysctlWatches)
		return &LimitError{Sysctl: sysctlWatches, Value: value, Err: err}
	case vanished(err), !needed && errors.Is(err, fs.ErrPermission):
		return nil
	}
	return fmt.Errorf("watch %s: %w", dir, err)
}

// vanished reports whether a directory was replaced since it was found.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// sysctl returns what a setting of the kernel is set to.
func sysctl(name string) (string, error) {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return strings.TrimSpace(string(text)), err
}
