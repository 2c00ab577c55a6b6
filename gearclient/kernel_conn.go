package gearclient

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spinTime is how long a read waits in the kernel without telling the runtime.
// Under load the answer to a GRAB_JOB comes within a tenth of a millisecond; the
// limit is longer than the tick of common kernels, since a timer that would be
// the next to fire has to be set up in the hardware for every job, which costs
// 9 µs of CPU on a virtual machine. The processor that the goroutine runs on can
// do nothing else for as long, garbage collection included.
const spinTime = 5 * time.Millisecond

// rawWriteMax is the size in bytes up to which a write does not tell the
// runtime either: it is over within microseconds.
const rawWriteMax = 64 << 10

// kernelConn is a TCP connection whose reader waits in the kernel, on a thread
// of its own, instead of leaving that to the runtime's poller. It is for a
// worker with one slot, for which it makes the way of a job as short as it is
// in C: wait, read, write. The runtime's way costs a read that finds nothing and
// a parked goroutine, and every arriving packet wakes a second thread, whether
// somebody waits for it there or not: 35 µs of CPU a job in all, on two cores,
// where a C worker takes 19.
//
// Its methods are safe for concurrent use.
type kernelConn struct {
	fd     int // not blocking
	local  net.Addr
	remote net.Addr
	base   time.Time // deadlines are durations since then
	in     waiter    // of Read
	out    waiter    // of Write
	closed atomic.Bool
	spin   func() bool  // whether to wait without telling the runtime
	use    sync.RWMutex // held shared while descriptors are used
}

// waiter is where one direction of a connection waits.
type waiter struct {
	turn    sync.Mutex   // one read, or write, at a time
	by      atomic.Int64 // deadline; 0: none
	waiting atomic.Bool  // in, or about to begin, a wait that wake ends
	wake    int          // an eventfd
}

// newKernelConn takes a TCP connection over and closes the one given. It
// returns the one given if that cannot be had: it is no TCP connection of the
// system, or there are no descriptors left.
func newKernelConn(conn net.Conn, spin func() bool) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	c := &kernelConn{fd: -1, local: conn.LocalAddr(), remote: conn.RemoteAddr(), base: time.Now(), spin: spin}
	c.in.wake, c.out.wake = newEvent(), newEvent()
	err = raw.Control(func(fd uintptr) { c.fd = duplicate(fd) })
	if err != nil || c.fd < 0 || c.in.wake < 0 || c.out.wake < 0 {
		_ = c.release() // those that are open
		return conn
	}
	_ = conn.Close() // the socket lives on under our descriptor
	return c
}

// newEvent makes an eventfd; negative if there are no descriptors left.
func newEvent() int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1
	}
	return fd
}

// duplicate makes another descriptor of a socket; negative if there are none
// left.
func duplicate(fd uintptr) int {
	n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return n
}

// Read waits for bytes until the read deadline.
func (c *kernelConn) Read(p []byte) (int, error) {
	c.use.RLock()
	defer c.use.RUnlock()
	c.in.turn.Lock()
	defer c.in.turn.Unlock()
	spun := !c.spin()
	for {
		if err := c.usable(&c.in); err != nil {
			return 0, c.fault("read", err)
		}
		if !spun {
			spun = true
			pollFor(c.fd, spinTime)
		}
		n, errno := c.read(p)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			c.await(&c.in, unix.POLLIN)
		case errno != 0:
			return 0, c.fault("read", errno)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// usable says why a direction cannot go on: net.ErrClosed or
// os.ErrDeadlineExceeded.
func (c *kernelConn) usable(w *waiter) error {
	if c.closed.Load() {
		return net.ErrClosed
	}
	if by := w.by.Load(); by != 0 && time.Since(c.base) >= time.Duration(by) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// read reads what is there.
func (c *kernelConn) read(p []byte) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

// await waits until the socket is ready, the deadline is over, or somebody
// ends the wait; the caller finds out which.
func (c *kernelConn) await(w *waiter, events int16) {
	w.waiting.Store(true)
	defer w.waiting.Store(false)
	if c.closed.Load() {
		return
	}
	set := []unix.PollFd{
		{Fd: int32(c.fd), Events: events},        //nolint:gosec // a descriptor
		{Fd: int32(w.wake), Events: unix.POLLIN}, //nolint:gosec // a descriptor
	}
	var limit *unix.Timespec // as long as it takes
	if by := w.by.Load(); by != 0 {
		left := unix.NsecToTimespec(max(by-int64(time.Since(c.base)), 0))
		limit = &left
	}
	_, _ = unix.Ppoll(set, limit, nil) // an interruption is as good as an event: the caller looks again
	if set[1].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(w.wake, b[:]) // only takes the mark away
	}
}

// Write sends all of b, unless the write deadline comes first.
func (c *kernelConn) Write(b []byte) (int, error) {
	n, err := c.writeBuffers(net.Buffers{b})
	return int(n), err
}

// writeBuffers sends all buffers, in one call of the system if that takes
// them. It uses up bufs.
func (c *kernelConn) writeBuffers(bufs net.Buffers) (int64, error) {
	c.use.RLock()
	defer c.use.RUnlock()
	c.out.turn.Lock()
	defer c.out.turn.Unlock()
	var sent int64
	for {
		for len(bufs) > 0 && len(bufs[0]) == 0 {
			bufs = bufs[1:]
		}
		if len(bufs) == 0 {
			return sent, nil
		}
		if err := c.usable(&c.out); err != nil {
			return sent, c.fault("write", err)
		}
		n, errno := c.send(bufs)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			c.await(&c.out, unix.POLLOUT)
		case errno != 0:
			return sent, c.fault("write", errno)
		default:
			sent += int64(n)
			bufs = skip(bufs, n)
		}
	}
}

// send sends what the system takes at once.
func (c *kernelConn) send(bufs net.Buffers) (int, syscall.Errno) {
	var vec [4]unix.Iovec
	size, count := 0, min(len(bufs), len(vec))
	for i := range count {
		vec[i].Base = unsafe.SliceData(bufs[i])
		vec[i].SetLen(len(bufs[i]))
		size += len(bufs[i])
	}
	msg := unix.Msghdr{Iov: &vec[0]}
	msg.SetIovlen(count)
	call := unix.RawSyscall
	if size > rawWriteMax {
		call = unix.Syscall
	}
	n, _, errno := call(unix.SYS_SENDMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
	return int(n), errno
}

// skip takes the first n bytes away.
func skip(bufs net.Buffers, n int) net.Buffers {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if len(bufs) > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// fault makes an error that says between whom it happened.
func (c *kernelConn) fault(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok { //nolint:errorlint // it is the number itself
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close closes the connection. Reads and writes under way end with
// net.ErrClosed, and are waited for.
func (c *kernelConn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return c.fault("close", net.ErrClosed)
	}
	_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // ends what is under way; fails if the peer has closed
	c.in.end()
	c.out.end()
	c.use.Lock()
	defer c.use.Unlock()
	if err := c.release(); err != nil {
		return c.fault("close", os.NewSyscallError("close", err))
	}
	return nil
}

// release closes the descriptors that are open.
func (c *kernelConn) release() error {
	var err error
	for _, fd := range []int{c.in.wake, c.out.wake, c.fd} {
		if fd >= 0 {
			err = unix.Close(fd)
		}
	}
	return err
}

// CloseWrite tells the peer that nothing more will be sent.
func (c *kernelConn) CloseWrite() error {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.closed.Load() {
		return c.fault("close", net.ErrClosed)
	}
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		return c.fault("close", os.NewSyscallError("shutdown", err))
	}
	return nil
}

// end ends a wait. The descriptor has to be open.
func (w *waiter) end() {
	if w.waiting.Load() {
		one := [8]byte{1}
		_, _ = unix.Write(w.wake, one[:]) // cannot fail while it is open and nearly empty
	}
}

// LocalAddr is our address.
func (c *kernelConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the peer's address.
func (c *kernelConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines; the zero time means none.
func (c *kernelConn) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// SetReadDeadline bounds reads, also one that is under way.
func (c *kernelConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.in, t) }

// SetWriteDeadline bounds writes, also one that is under way.
func (c *kernelConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.out, t) }

func (c *kernelConn) setDeadline(w *waiter, t time.Time) error {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.closed.Load() {
		return c.fault("set", net.ErrClosed)
	}
	var by int64
	if !t.IsZero() {
		by = max(int64(t.Sub(c.base)), 1)
	}
	w.by.Store(by)
	w.end()
	return nil
}

// pollFor waits until fd can be read, without telling the runtime, and reports
// whether it can.
func pollFor(fd int, limit time.Duration) bool {
	set := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // a descriptor
	ts := unix.NsecToTimespec(int64(limit))
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&set)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return errno == 0 && n > 0
}

// soon waits for a moment until there is something to read, and reports
// whether there is. It reports false at once if waiting would hold others up.
func (c *kernelConn) soon() bool {
	c.use.RLock()
	defer c.use.RUnlock()
	return c.spin() && !c.closed.Load() && pollFor(c.fd, spinTime)
}
