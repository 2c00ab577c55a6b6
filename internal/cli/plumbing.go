package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// plumbing connects a process with the streams of a command.
type plumbing struct {
	stdin    *os.File
	ownStdin bool
	stdout   *pump
	stderr   *pump
	progress *supervisor.Output
}

// newPlumbing makes what close takes away again.
func newPlumbing(std *streams) (_ *plumbing, err error) {
	p := &plumbing{}
	defer func() {
		if err != nil {
			_ = p.close() // the first error counts
		}
	}()
	if p.stdin, p.ownStdin, err = inputFile(std); err != nil {
		return nil, err
	}
	if p.stdout, err = newPump(std.out); err != nil {
		return nil, err
	}
	if p.stderr, err = newPump(std.err); err != nil {
		return nil, err
	}
	p.progress, err = supervisor.NewOutput(supervisor.OutputConfig{Keep: -1, Line: func(line []byte) {
		_, _ = fmt.Fprintf(std.err, "status: %s\n", bytes.TrimSpace(line))
	}})
	return p, err
}

// close ends the pipes and waits until all that was written has arrived.
func (p *plumbing) close() error {
	var errs []error
	if p.ownStdin {
		errs = append(errs, p.stdin.Close())
	}
	for _, pump := range []*pump{p.stdout, p.stderr} {
		if pump != nil {
			errs = append(errs, pump.close())
		}
	}
	if p.progress != nil {
		errs = append(errs, p.progress.Close())
	}
	return errors.Join(errs...)
}

// inputFile makes a file of what a process shall read: the file itself, or a
// copy in memory. Of a terminal it is a copy, since a process that is not in the
// terminal's foreground group is stopped when it reads there.
func inputFile(std *streams) (f *os.File, own bool, err error) {
	if f, ok := std.in.(*os.File); ok && !logging.IsTerminal(f) {
		return f, false, nil
	}
	in := std.terminalNotice()
	fd, err := unix.MemfdCreate("workload", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, false, fmt.Errorf("keep the workload in memory: %w", err)
	}
	f = os.NewFile(uintptr(fd), "workload") //nolint:gosec // a descriptor is not negative
	if _, err = io.Copy(f, in); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("read the workload: %w", err), f.Close())
	}
	return f, true, nil
}

// pump carries what a process writes to a writer; one goroutine does it.
type pump struct {
	from   *supervisor.PipeReader
	writer *os.File // for the process
	done   chan error
}

func newPump(to io.Writer) (*pump, error) {
	r, w, err := supervisor.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	p := &pump{from: r, writer: w, done: make(chan error, 1)}
	go func() {
		_, err := io.Copy(to, r)
		_ = r.Close() // the process hears of it if nobody takes its output
		p.done <- err
	}()
	return p, nil
}

// Writer is the end for the process.
func (p *pump) Writer() *os.File { return p.writer }

// close takes what the pipe still holds.
func (p *pump) close() error {
	_ = p.writer.Close()
	p.from.Finish()
	return <-p.done
}
