package jobserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return a, b
}

// TestOutboxKeepsOrder sends small and large packets from several goroutines
// over a socket and over a pipe, which has no writes that do not wait. Each
// sender's packets have to arrive whole and in its order.
func TestOutboxKeepsOrder(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string]func(*testing.T) (net.Conn, net.Conn){
		"tcp":  tcpPair,
		"pipe": func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := pair(t)
			defer func() { _ = far.Close() }()
			checkOrder(t, near, far)
		})
	}
}

// checkOrder is one run of TestOutboxKeepsOrder.
func checkOrder(t *testing.T, near, far net.Conn) {
	t.Helper()
	const senders, packets = 3, 200
	var backlog, sending sync.WaitGroup
	o := newOutbox(near, 1<<30, backlog.Go)
	large := bytes.Repeat([]byte("L"), 3*byReference)
	for s := range senders {
		sending.Go(func() {
			for i := range packets {
				data := []byte{byte(s), byte(i)}
				if i%10 == 0 {
					data = append(data, large...)
				}
				if o.packet(wire.WorkData, []byte("H:1"), data) {
					o.flush()
				}
			}
		})
	}
	r := wire.NewReader(far, wire.Response, 0)
	var next [senders]int
	for range senders * packets {
		p, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		d := p.Arg(1)
		if int(d[1]) != next[d[0]] {
			t.Fatalf("sender %d: packet %d, want %d", d[0], d[1], next[d[0]])
		}
		if next[d[0]]%10 == 0 && !bytes.Equal(d[2:], large) {
			t.Fatalf("sender %d: large packet %d is damaged", d[0], d[1])
		}
		next[d[0]]++
	}
	sending.Wait()
	if err := o.finish(); err != nil {
		t.Error(err)
	}
	backlog.Wait()
	if o.size != 0 {
		t.Errorf("%d bytes counted after all were written", o.size)
	}
}

// TestOutboxEndsSlowPeers: a peer that lets more than the limit pile up is
// disconnected, and nobody waits for it.
func TestOutboxEndsSlowPeers(t *testing.T) {
	t.Parallel()
	near, far := tcpPair(t)
	var backlog sync.WaitGroup
	o := newOutbox(near, 1<<20, backlog.Go)
	chunk := make([]byte, 64<<10)
	for range 1000 { // more than sockets and limit hold together
		if o.packet(wire.EchoRes, chunk) {
			o.flush()
		}
	}
	backlog.Wait() // the write to the closed connection ends
	if err := o.finish(); !errors.Is(err, errSlowPeer) {
		t.Fatalf("ended with %v, want %v", err, errSlowPeer)
	}
	if _, err := io.Copy(io.Discard, far); err != nil {
		t.Logf("peer sees %v", err)
	}
}

// TestOutboxDropsLargeBuffers: a burst does not hold its memory.
func TestOutboxDropsLargeBuffers(t *testing.T) {
	t.Parallel()
	o := newOutbox(nil, 1<<30, nil)
	for range 20_000 {
		o.packet(wire.Noop)
	}
	o.take()
	if o.spare != nil || cap(o.tail) > keepBuffer {
		t.Errorf("kept %d and %d bytes", cap(o.spare), cap(o.tail))
	}
}
