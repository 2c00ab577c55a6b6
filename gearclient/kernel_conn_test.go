package gearclient

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/net/nettest"
)

// kernelPipe is a pair of connections over TCP whose ends are kernelConns.
func kernelPipe() (c1, c2 net.Conn, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, 1)
	go func() { // ends with the one connection, or with the listener
		c, _ := l.Accept()
		accepted <- c
	}()
	c1, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, nil, err
	}
	spin := func() bool { return true }
	c1, c2 = newKernelConn(c1, spin), newKernelConn(<-accepted, func() bool { return false })
	return c1, c2, func() { _, _ = c1.Close(), c2.Close() }, nil
}

// TestKernelConn is what every net.Conn has to pass: deadlines in the past,
// now and in the future, closing under reads and writes, concurrent use.
func TestKernelConn(t *testing.T) {
	t.Parallel()
	nettest.TestConn(t, kernelPipe)
}

// TestKernelConnVector writes buffers together that are far larger than what
// the system holds.
func TestKernelConnVector(t *testing.T) {
	t.Parallel()
	c1, c2, stop, err := kernelPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	kernel, ok := c1.(*kernelConn)
	if !ok {
		t.Fatalf("the connection is a %T", c1)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	bufs := net.Buffers{[]byte("head"), nil, large, []byte("tail"), {}, []byte("end"), large[:3]}
	want := bytes.Join(bufs, nil)
	done := make(chan error, 1)
	go func() {
		n, err := kernel.writeBuffers(bufs)
		if err == nil && n != int64(len(want)) {
			err = io.ErrShortWrite
		}
		_ = kernel.CloseWrite()
		done <- err
	}()
	got, err := io.ReadAll(c2)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes of %d, equal: %v, %v", len(got), len(want), bytes.Equal(got, want), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestKernelConnLeavesNothing counts descriptors over many connections.
func TestKernelConnLeavesNothing(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	open := func() {
		_, _, stop, err := kernelPipe()
		if err != nil {
			t.Fatal(err)
		}
		stop()
		stop() // once more does no harm
	}
	open() // the runtime's own descriptors come with the first connection
	before := count()
	for range 50 {
		open()
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
