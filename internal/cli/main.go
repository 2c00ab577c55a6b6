package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/manager"
)

// programName is what messages and help call the program.
const programName = "gearman-manager"

// The exit codes, see the package's description.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitSignal      = 128
)

// Main runs the program with its arguments, of which the first is its own name,
// and returns its exit code. It blocks until the command has ended. Signals are
// what the process receives of SIGINT, SIGTERM, SIGHUP and SIGUSR1; their owner
// closes nothing.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	std := &streams{in: stdin, out: stdout, err: stderr, signals: signals}
	if len(args) > 1 && args[1] == manager.ExecArg {
		serveExec(args[2:]) //nolint:contextcheck // does not return: it is a process of its own, whose context plugins.Serve makes
	}
	err := dispatch(ctx, std, args[min(1, len(args)):])
	return report(std, err)
}

// streams are what a command talks to.
type streams struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	signals <-chan os.Signal
}

// terminalNotice returns the standard input, and tells whoever sits at a
// terminal that it is read.
func (s *streams) terminalNotice() io.Reader {
	if logging.IsTerminal(s.in) {
		_, _ = fmt.Fprintln(s.err, "The workload is read from the terminal; ctrl-D ends it.")
	}
	return s.in
}

// dispatch finds the command and runs it. Without one, the manager runs.
func dispatch(ctx context.Context, std *streams, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return manageCommand().run(ctx, std, args)
	}
	if args[0] == completeName {
		runComplete(ctx, std, args[1:])
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, std, args[1:])
		}
	}
	hint := ""
	if near := config.Nearest(args[0], commandNames()); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return &usageError{problem: fmt.Sprintf("unknown command %q%s", args[0], hint)}
}

// usageError says that a command line makes no sense.
type usageError struct {
	command string // empty for the manager itself
	problem string
}

func (e *usageError) Error() string { return e.problem }

// exitError is an error with an exit code of its own. Its message may have been
// written already.
type exitError struct {
	code int
	err  error // nil: nothing is left to say
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return fmt.Sprintf("ended by a signal: %v", e.signal) }

// report writes an error for people and returns the exit code.
func report(std *streams, err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[*usageError](err); ok {
		name := strings.TrimSpace("help " + e.command)
		_, _ = fmt.Fprintf(std.err, "%s: %s\nSee: %s %s\n", programName, e.problem, programName, name)
		return exitUsage
	}
	if e, ok := errors.AsType[*exitError](err); ok && e.err == nil {
		return e.code
	}
	_, _ = fmt.Fprintf(std.err, "%s: %v\n", programName, err)
	return exitCode(err)
}

// exitCode selects the code of an error whose message was written.
func exitCode(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if e, ok := errors.AsType[*signalError](err); ok {
		if number, ok := e.signal.(syscall.Signal); ok {
			return exitSignal + int(number)
		}
	}
	return exitFailed
}

// untilSignal returns a context that ends with SIGINT or SIGTERM, whose error is
// then a *signalError. SIGHUP, which comes when a terminal is closed, counts only
// where hangup is set; SIGUSR1 never. The caller calls stop, which waits for its
// goroutine.
func untilSignal(ctx context.Context, signals <-chan os.Signal, hangup bool) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			case s := <-signals:
				if s != syscall.SIGUSR1 && (s != syscall.SIGHUP || hangup) {
					cancel(&signalError{s})
				}
			}
		}
	}()
	return ctx, func() {
		close(over)
		<-ended
		cancel(nil)
	}
}
