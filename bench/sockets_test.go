package main

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClientSockets(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:127A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 0100007F:C350 0100007F:127A 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0000000000000000 100 0 0 10 0
   2: 0100007F:127A 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0000000000000000 100 0 0 10 0
   3: 0100007F:C351 0100007F:127A 06 00000000:00000000 03:00000EDC 00000000     0        0 0 3 0000000000000000
   4: 0100007F:C352 0100007F:127A 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0000000000000000 100 0 0 10 0
   5: 0100007F:C353 0100007F:127B 01 00000000:00000000 00:00000000 00000000     0        0 104 1 0000000000000000 100 0 0 10 0
`
	want := map[string]bool{"socket:[101]": true, "socket:[103]": true}
	if diff := cmp.Diff(want, clientSockets(table, 0x127a)); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
}

// This process has a connection once it has made one, and init never has.
func TestConnectedTo(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	processes := []stat{{pid: 1}, {pid: os.Getpid()}}
	none, err := connectedTo(port, processes)
	if err != nil || len(none) != 0 {
		t.Errorf("before a connection: %v, %v, want none", none, err)
	}
	conn, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	one, err := connectedTo(port, processes)
	if err != nil || len(one) != 1 || one[0].pid != os.Getpid() {
		t.Errorf("with a connection: %v, %v, want this process", one, err)
	}
}
