package supervisor

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// PipeReader is the reading end of a pipe whose writing end a child has. Read is
// for one goroutine, Finish and Close for any.
type PipeReader struct {
	file *os.File
	left int // how much more is read after Finish
}

// Pipe makes a pipe between this process and a child. The writer is for a Spec.
// Both ends are closed on exec, and are the caller's to close.
func Pipe() (*PipeReader, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	// Each end has a mode of its own: the child's stays blocking.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	r := &PipeReader{file: os.NewFile(uintptr(fds[0]), "|0"), left: maxPipe}
	return r, os.NewFile(uintptr(fds[1]), "|1"), nil
}

// openFIFO makes a FIFO and opens it at both ends, so that it has no end of file.
func openFIFO(path string) (*PipeReader, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		_ = os.Remove(path) // what counts is the first error
		return nil, err
	}
	return &PipeReader{file: file, left: maxPipe}, nil
}

// maxPipe is how much a pipe can hold unless root decided otherwise:
// /proc/sys/fs/pipe-max-size. Usually it is 64 KiB.
const maxPipe = 1 << 20

// Read reads as io.Reader does. The error is io.EOF when nobody holds the other
// end any more, or, after Finish, when the pipe is empty.
func (r *PipeReader) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return r.readWhatIsThere(p)
	}
	return n, err
}

// readWhatIsThere reads without waiting. What is written meanwhile is read too,
// so that there has to be an end to it.
func (r *PipeReader) readWhatIsThere(p []byte) (n int, err error) {
	p = p[:min(len(p), r.left)]
	if len(p) == 0 {
		return 0, io.EOF
	}
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	err = raw.Control(func(fd uintptr) {
		for {
			if n, readErr = unix.Read(int(fd), p); !errors.Is(readErr, unix.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if readErr != nil || n <= 0 { // EAGAIN: empty
		return 0, io.EOF
	}
	r.left -= n
	return n, nil
}

// Finish makes Read return what the pipe holds now, and then io.EOF, though
// somebody may still hold the other end. A Read that waits returns.
func (r *PipeReader) Finish() {
	_ = r.file.SetReadDeadline(longAgo()) // fails after Close only
}

// longAgo is a deadline that is over, without asking for the time.
func longAgo() time.Time { return time.Unix(1, 0) }

// Close closes the reading end. Those who write later get EPIPE, and usually
// SIGPIPE.
func (r *PipeReader) Close() error { return r.file.Close() }
