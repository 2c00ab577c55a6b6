package gearclient_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

func TestNormalizeAddr(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"localhost":         "localhost:4730",
		" q1.example:4731 ": "q1.example:4731",
		"10.0.0.1":          "10.0.0.1:4730",
		"10.0.0.1:04730":    "10.0.0.1:4730",
		"[::1]":             "[::1]:4730",
		"[::1]:1":           "[::1]:1",
		"[fe80::1%eth0]:2":  "[fe80::1%eth0]:2",
		"host_with_line":    "host_with_line:4730",
	} {
		got, err := gearclient.NormalizeAddr(in)
		if err != nil || got != want {
			t.Errorf("NormalizeAddr(%q) = %q, %v, want %q", in, got, err, want)
		}
		again, err := gearclient.NormalizeAddr(got)
		if err != nil || again != got {
			t.Errorf("NormalizeAddr(%q) = %q, %v: not stable", got, again, err)
		}
	}
}

func TestNormalizeAddrRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "is empty",
		"   ":                  "is empty",
		"::1":                  "in brackets",
		"::1:4730":             "in brackets",
		"tcp://localhost:4730": "is a URL",
		":4730":                "names no host",
		"host:":                "port",
		"host:0":               "port",
		"host:65536":           "port",
		"host:-1":              "port",
		"host:http":            "port",
		"[localhost]:4730":     "no IPv6",
		"[127.0.0.1]:4730":     "no IPv6",
		"[::1":                 "want host:port",
		"[::1]4730":            "want host:port",
		"a b":                  "cannot be in a host name",
		"a,b":                  "cannot be in a host name",
		"/run/gearmand.sock":   "cannot be in a host name",
	} {
		got, err := gearclient.NormalizeAddr(in)
		var addrErr *gearclient.AddressError
		if !errors.As(err, &addrErr) || !strings.Contains(err.Error(), want) {
			t.Errorf("NormalizeAddr(%q) = %q, %v, want an AddressError with %q", in, got, err, want)
		}
	}
}

func TestDialTCPSetsOptions(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	conn, err := gearclient.DialTCP(t.Context(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct {
		name             string
		level, opt, want int
	}{
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30000},
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
	} {
		var got int
		var optErr error
		if err := raw.Control(func(fd uintptr) { got, optErr = unix.GetsockoptInt(int(fd), o.level, o.opt) }); err != nil {
			t.Fatal(err)
		}
		if optErr != nil || got != o.want {
			t.Errorf("%s = %d, %v, want %d", o.name, got, optErr, o.want)
		}
	}
}

func TestDialTCPRefused(t *testing.T) {
	t.Parallel()
	addr := testutil.FreeAddr(t)
	_, err := gearclient.DialTCP(t.Context(), addr)
	var connErr *gearclient.ConnectError
	if !errors.As(err, &connErr) || connErr.Addr != addr || !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("DialTCP of a closed port: %v, want a ConnectError that wraps ECONNREFUSED", err)
	}
	if !connErr.SafeToRetry() {
		t.Error("a refused connection is not safe to retry")
	}
}

func TestDialTCPEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	_, err := gearclient.DialTCP(ctx, "127.0.0.1:1")
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, unix.ECONNREFUSED) {
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("DialTCP with an ended context: %v", err)
		}
	}
}
