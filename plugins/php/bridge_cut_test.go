package php_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// large is how much the bridges of these tests write to a server that does not read: more
// than the system takes for it.
const large = 20_000_000

// TestBridgeIsEndedInTheMiddleOfAnAnswer sends no second beginning of it behind the first:
// the job server would take that for the rest, and hand the client a wrong result.
func TestBridgeIsEndedInTheMiddleOfAnAnswer(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, way bridgeOption) {
		t.Helper()
		b, conn := answering(t, way, "ends_idle.php", "reverse", bytes.Repeat([]byte("x"), large))
		size := readHead(t, conn)
		stop := signalAgain(b.cmd.Process, syscall.SIGUSR1)
		await[*workerpb.Event_Retiring](t, b) // it is ended, and waits for us to read no more
		stop()
		isCut(t, conn, size)
		b.exits(t, 3)
	})
}

// TestBridgeIsThrownOutOfAPacket ends a connection on which a part of one has been sent.
func TestBridgeIsThrownOutOfAPacket(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, way bridgeOption) {
		t.Helper()
		b, conn := answering(t, way, "signals.php", "gives_up", nil)
		size := readHead(t, conn)
		stop := signalAgain(b.cmd.Process, syscall.SIGUSR1)
		await[*workerpb.Event_Lost](t, b)
		stop()
		isCut(t, conn, size)
	})
}

// TestBridgeSpeaksBehindAPacket sends what a signal handler has to say in the middle of a
// packet when that is out.
func TestBridgeSpeaksBehindAPacket(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, way bridgeOption) {
		t.Helper()
		b, conn := answering(t, way, "signals.php", "tells", nil)
		size := readHead(t, conn)
		stop := signalAgain(b.cmd.Process, syscall.SIGUSR1)
		testutil.WaitFor(t, "the handler", func() bool { return strings.Contains(b.stdout.String(), "told") })
		stop()
		rest := make([]byte, size)
		if _, err := io.ReadFull(conn, rest); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(rest, []byte("x")); n != large {
			t.Errorf("%d bytes of data are %d", large, n)
		}
		behind := readUntil(t, conn, "\x00REQ\x00\x00\x00\x0d\x00\x00\x00\x0aH:t:1\x00done\x00REQ\x00\x00\x00\x1e\x00\x00\x00\x00")
		if !bytes.HasPrefix(behind, []byte("\x00REQ\x00\x00\x00\x0c\x00\x00\x00\x09H:t:1\x001\x002")) {
			t.Errorf("got %q", behind)
		}
	})
}

// bothWays runs a test with a bridge that writes to sockets of ext/sockets, and with one that
// writes to streams.
func bothWays(t *testing.T, test func(*testing.T, bridgeOption)) {
	t.Helper()
	for name, disabled := range map[string]string{"sockets": "", "streams": "socket_import_stream"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, set("disable_functions="+disabled))
		})
	}
}

// answering is a bridge that performs a job of the function in the file for a server that
// reads nothing of what it sends.
func answering(t *testing.T, way bridgeOption, file, function string, workload []byte) (*bridge, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	b := startBridge(t, at(l.Addr().String()), performing(function), way, with(func(req *workerpb.RunRequest) {
		req.Functions[0].Source.File = dataFile(t, file)
	}))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(testutil.Patience)); err != nil {
		t.Fatal(err)
	}
	readUntil(t, conn, "\x00\x00\x00\x10\x00\x00\x00\x0fgearman-manager")
	send(t, conn, "\x00RES\x00\x00\x00\x11\x00\x00\x00\x0fgearman-manager")
	readUntil(t, conn, "\x00REQ\x00\x00\x00\x1e\x00\x00\x00\x00")
	body := slices.Concat([]byte("H:t:1\x00"+function+"\x00u\x00"), workload)
	send(t, conn, "\x00RES\x00\x00\x00\x1f"+string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))))
	send(t, conn, string(body))
	return b, conn
}

// readHead reads the head of a packet, and returns how many bytes follow.
func readHead(t *testing.T, conn net.Conn) int64 {
	t.Helper()
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	return int64(binary.BigEndian.Uint32(head[8:]))
}

// isCut reads to the end of the connection, which comes before that of the packet.
func isCut(t *testing.T, conn net.Conn, size int64) {
	t.Helper()
	if rest, _ := io.Copy(io.Discard, conn); rest >= size {
		t.Errorf("got %d bytes behind the head of a packet of %d", rest, size)
	}
}

// signalAgain sends a signal until stop is called: one that comes just before PHP begins
// to wait in a system call is dealt with when that returns.
func signalAgain(p *os.Process, sig syscall.Signal) (stop func()) {
	end := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			_ = p.Signal(sig) // it may have ended
			select {
			case <-ticker.C:
			case <-end:
				return
			}
		}
	})
	return func() {
		close(end)
		sender.Wait()
	}
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// readUntil reads until those are the last bytes, and returns all.
func readUntil(t *testing.T, conn net.Conn, end string) []byte {
	t.Helper()
	var all []byte
	for !bytes.HasSuffix(all, []byte(end)) {
		part := make([]byte, 4096)
		n, err := conn.Read(part)
		if err != nil {
			t.Fatalf("read %q: %v", all, err)
		}
		all = append(all, part[:n]...)
	}
	return all
}
