package gearclient

import (
	"io"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollTime is how long a read waits in the kernel before it leaves the waiting
// to the runtime. Under load the answer to a GRAB_JOB comes within it.
//
// The runtime's own way costs a read that finds nothing, a parked goroutine, a
// wait for events, and the waking of further threads: 25 µs of CPU a job on
// two cores with four workers at full speed, against 18 µs for this and 17 µs
// for a C worker. The price is that the processor which the goroutine runs on
// can do nothing else for as long, garbage collection included; so it is used
// only where one slot is all that the worker has.
const pollTime = 200 * time.Microsecond

// poller reads a connection by waiting in the kernel for a moment. One
// goroutine uses it at a time.
type poller struct {
	raw    syscall.RawConn
	read   func(fd uintptr) bool // tryRead, made a value once
	into   []byte
	n      int
	errno  syscall.Errno
	waited bool
}

// newPoller returns a poller for conn, or nil if conn is no socket of the
// system's.
func newPoller(conn net.Conn) *poller {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	p := &poller{raw: raw}
	p.read = p.tryRead
	return p
}

// Read is the connection's Read, deadlines and closing included.
func (p *poller) Read(into []byte) (int, error) {
	if len(into) == 0 {
		return 0, nil
	}
	p.into, p.n, p.errno, p.waited = into, 0, 0, false
	err := p.raw.Read(p.read)
	p.into = nil
	switch {
	case err != nil:
		return 0, err
	case p.errno != 0:
		return 0, p.errno
	case p.n == 0:
		return 0, io.EOF
	}
	return p.n, nil
}

// tryRead reads what is there, having waited for it for a moment at first. It
// reports false if the runtime is to wait.
func (p *poller) tryRead(fd uintptr) bool {
	if !p.waited {
		p.waited = true
		pollReadable(fd)
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&p.into[0])), uintptr(len(p.into)))
		switch errno {
		case unix.EINTR: // not the runtime's to wait for: it is told of new bytes only
		case unix.EAGAIN:
			return false
		default:
			p.n, p.errno = int(n), errno
			return true
		}
	}
}

// soon waits for a moment until there is something to read, and reports
// whether there is.
func (p *poller) soon() bool {
	readable := false
	err := p.raw.Control(func(fd uintptr) { readable = pollReadable(fd) })
	return err == nil && readable
}

// pollReadable waits up to pollTime until fd can be read. The runtime is not
// told that the thread waits.
func pollReadable(fd uintptr) bool {
	set := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // a descriptor
	limit := unix.NsecToTimespec(int64(pollTime))
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&set)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	return errno == 0 && n > 0
}
