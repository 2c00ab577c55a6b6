package exec

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// input feeds an executable's stdin.
type input struct {
	writer *os.File // nil once everything is written
	rest   []byte
}

// open makes a pipe and puts the workload into it, as far as it fits. Most fit
// whole; then the pipe is ready before the executable is, and nobody has to look
// after it. The reading end is the executable's, and the caller's to close. It is
// nil for an empty workload.
func (i *input) open(workload []byte) (*os.File, error) {
	if len(workload) == 0 {
		return nil, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	stdin := os.NewFile(uintptr(fds[0]), "|0")
	n, err := fill(fds[1], workload)
	if err == nil && n == len(workload) {
		_ = unix.Close(fds[1])
		return stdin, nil
	}
	i.writer, i.rest = os.NewFile(uintptr(fds[1]), "|1"), workload[n:]
	return stdin, err
}

// fill writes what a pipe takes without waiting, and leaves it in nonblocking mode.
func fill(fd int, data []byte) (n int, err error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return 0, os.NewSyscallError("fcntl", err)
	}
	n, err = unix.Write(fd, data)
	if err != nil { // EAGAIN, EINTR: whoever writes the rest meets any other again
		return 0, nil //nolint:nilerr // nothing is lost
	}
	return n, nil
}

func (i *input) pending() bool { return i.writer != nil }

// feed writes the rest and closes the pipe, which is the end of the workload. An
// executable that does not read it all is none of our business: EPIPE.
func (i *input) feed() {
	_, _ = i.writer.Write(i.rest)
	_ = i.writer.Close()
}

// finish ends a feed that waits.
func (i *input) finish() {
	if i.writer != nil {
		_ = i.writer.SetWriteDeadline(time.Unix(1, 0)) // fails if feed has closed it
	}
}

func (i *input) close() {
	if i.writer != nil {
		_ = i.writer.Close() // again, after feed
		i.writer = nil
	}
}
