package testutil

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// FreeAddr is an address of 127.0.0.1, with a port on which nobody listened a
// moment ago: for a server, or for a client that nobody shall answer.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// FreePort is the port of a [FreeAddr].
func FreePort(tb testing.TB) string {
	tb.Helper()
	_, port, err := net.SplitHostPort(FreeAddr(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// listens tells whether a process listens on a TCP port. It asks the kernel: a
// connection would not tell the process from another that has taken the port,
// and a server would know of the connection for a while.
func listens(pid int, port string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	held := sockets(proc)
	if len(held) == 0 {
		return false // the system's list may be long
	}
	number, _ := strconv.Atoi(port)
	suffix := fmt.Sprintf(":%04X", number)
	table, _ := os.ReadFile(filepath.Join(proc, "net/tcp")) // the process may be gone
	for line := range strings.Lines(string(table)) {
		// proc_pid_net(5): number, local and remote address, state, …, inode.
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == stateListen && held["socket:["+f[9]+"]"] {
			return true
		}
	}
	return false
}

// stateListen is TCP_LISTEN of the kernel's net/tcp_states.h, as /proc shows it.
const stateListen = "0A"

// sockets are those that a process has, as its descriptors call them.
func sockets(proc string) map[string]bool {
	held := map[string]bool{}
	links, _ := filepath.Glob(filepath.Join(proc, "fd/*")) // the pattern is good
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil && strings.HasPrefix(name, "socket:") {
			held[name] = true
		}
	}
	return held
}
