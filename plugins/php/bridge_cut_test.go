package php_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestBridgeIsEndedInTheMiddleOfAnAnswer sends no second beginning of it behind the first:
// the job server would take that for the rest, and hand the client a wrong result.
func TestBridgeIsEndedInTheMiddleOfAnAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	b := startBridge(t, at(l.Addr().String()), with(func(req *workerpb.RunRequest) {
		req.Functions[0].Source.File = dataFile(t, "ends_idle.php")
	}))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(testutil.Patience)); err != nil {
		t.Fatal(err)
	}
	readUntil(t, conn, "\x00\x00\x00\x10\x00\x00\x00\x0fgearman-manager")
	send(t, conn, "\x00RES\x00\x00\x00\x11\x00\x00\x00\x0fgearman-manager")
	readUntil(t, conn, "\x00REQ\x00\x00\x00\x1e\x00\x00\x00\x00")
	workload := bytes.Repeat([]byte("x"), 20_000_000)
	send(t, conn, "\x00RES\x00\x00\x00\x1f"+string(binary.BigEndian.AppendUint32(nil, uint32(len(workload)+17)))+"H:t:1\x00reverse\x00u\x00\x00")
	send(t, conn, string(workload))
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	await[*workerpb.Event_Retiring](t, b) // it is ended, and waits for us to read no more
	rest, _ := io.Copy(io.Discard, conn)
	if size := int64(binary.BigEndian.Uint32(head[8:])); rest >= size {
		t.Errorf("got %d bytes behind the head of a packet of %d", rest, size)
	}
	b.exits(t, 3)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// readUntil reads until those are the last bytes.
func readUntil(t *testing.T, conn net.Conn, end string) {
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
}
