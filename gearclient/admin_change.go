package gearclient

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Version is the server's version, such as "1.1.20+ds".
func (a *Admin) Version(ctx context.Context) (string, error) {
	return a.ok(ctx, "version")
}

// PID is the server's process id.
func (a *Admin) PID(ctx context.Context) (int, error) {
	text, err := a.ok(ctx, "getpid")
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("getpid: %w", &ReplyError{Server: a.addr, Line: "OK " + text, Problem: "want a process id"})
	}
	return pid, nil
}

// QueueLimits caps how many jobs of a function may be on the server, for each
// priority. The server compares all jobs of the function with the limit of a
// new one's priority, and refuses that one if it is reached. 0 means no limit.
type QueueLimits struct {
	High, Normal, Low int
}

// SetMaxQueue caps the queue of a function. The server accepts it for a function
// that it does not know, and then forgets it. The error is a [*FunctionError] if
// the name cannot be said in the text protocol or a limit is negative.
func (a *Admin) SetMaxQueue(ctx context.Context, function string, limits QueueLimits) error {
	if err := adminCheckName(function); err != nil {
		return err
	}
	if limits.High < 0 || limits.Normal < 0 || limits.Low < 0 {
		return &FunctionError{function, "a limit of its queue is negative"}
	}
	_, err := a.ok(ctx, fmt.Sprintf("maxqueue %s %d %d %d", function, limits.High, limits.Normal, limits.Low))
	return err
}

// CreateFunction makes the server know a function before a worker or client
// names it. It is no error if it does already. The error is a [*FunctionError]
// if the name cannot be said in the text protocol.
func (a *Admin) CreateFunction(ctx context.Context, function string) error {
	if err := adminCheckName(function); err != nil {
		return err
	}
	_, err := a.ok(ctx, "create function "+function)
	return err
}

// DropFunction makes the server forget a function that has neither jobs nor
// workers. gearmand itself would drop one with queued jobs too, and leave them
// dangling, and it takes a name that differs in case for the same; so the
// status is looked at first, and the error is a [*FunctionError] if the
// function is unknown, in use, or not the only one of that name. Jobs that come
// between look and drop are not protected.
func (a *Admin) DropFunction(ctx context.Context, function string) error {
	if err := adminCheckName(function); err != nil {
		return err
	}
	list, err := a.Status(ctx)
	if err != nil {
		return fmt.Errorf("drop function: %w", err)
	}
	if err := adminCanDrop(function, list); err != nil {
		return err
	}
	_, err = a.ok(ctx, "drop function "+function)
	return err
}

// adminCanDrop says why a function must not be dropped.
func adminCanDrop(function string, list []FunctionStatus) error {
	known := false
	for _, f := range list {
		switch {
		case f.Function == function && (f.Total > 0 || f.Workers > 0):
			return &FunctionError{function, fmt.Sprintf("has %d jobs and %d workers; drop it when it has none", f.Total, f.Workers)}
		case f.Function == function:
			known = true
		case strings.EqualFold(f.Function, function):
			return &FunctionError{function, fmt.Sprintf("the server cannot tell it from %q when it drops one", f.Function)}
		}
	}
	if !known {
		return &FunctionError{function, "the server does not know it"}
	}
	return nil
}

// CancelJob takes a queued job, named by its handle, out of its queue; gearmand
// counts it until a worker asks for a job. A job that runs is not stopped. A
// handle that the server does not know is a [*ServerError].
func (a *Admin) CancelJob(ctx context.Context, handle string) error {
	if adminUnsayable(handle) || len(handle) > wire.MaxHandle {
		return fmt.Errorf("cancel job: %q is no handle", handle)
	}
	_, err := a.ok(ctx, "cancel job "+handle)
	return err
}

// ok runs a command that is answered with one line, and returns what follows OK
// there.
func (a *Admin) ok(ctx context.Context, command string) (string, error) {
	var text string
	err := a.run(ctx, command, adminOneLine, func(line string) error {
		rest, found := strings.CutPrefix(line, "OK")
		if !found || (rest != "" && rest[0] != ' ') {
			return errors.New("want OK")
		}
		text = strings.TrimSpace(rest)
		return nil
	})
	return text, err
}

// adminCheckName says why a name cannot stand in a command, where words are
// separated by white space.
func adminCheckName(function string) error {
	switch {
	case adminUnsayable(function):
		return &FunctionError{function, "the text protocol has no way to say an empty name, or one with spaces or control characters"}
	case len(function) > wire.MaxFunction:
		return &FunctionError{function, fmt.Sprintf("has %d bytes, at most %d", len(function), wire.MaxFunction)}
	default:
		return nil
	}
}

// adminUnsayable tells whether a word cannot stand in a command.
func adminUnsayable(word string) bool {
	return word == "" || strings.IndexFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f }) >= 0
}
