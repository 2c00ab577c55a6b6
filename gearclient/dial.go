package gearclient

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultPort is the port that IANA assigned to Gearman; an address without a
// port means this one.
const DefaultPort = 4730

// How long a connection may stay silent or unacknowledged. A job server closes
// idle connections never, but firewalls between do, often after minutes; the
// figures find a dead path within half a minute without loading a live one.
const (
	dialTimeout       = 5 * time.Second
	dialKeepIdle      = 15 * time.Second
	dialKeepInterval  = 5 * time.Second
	dialKeepCount     = 3
	dialUserTimeoutMS = 30_000 // TCP_USER_TIMEOUT, milliseconds
)

// DialFunc connects to the job server at addr, an address as [NormalizeAddr]
// returns it. It blocks until the connection stands, has failed, or ctx ends.
// The caller closes what it returns. A DialFunc must be safe for concurrent
// use.
type DialFunc func(ctx context.Context, addr string) (net.Conn, error)

// DialTCP is the [DialFunc] that is used where none is given: plain TCP with
// TCP_NODELAY, keepalive after 15 s of silence, and TCP_USER_TIMEOUT of 30 s,
// so that a write to a vanished server fails instead of waiting for quarter of
// an hour. It gives up after 5 s, or when ctx ends if that is earlier. addr may
// lack the port. The error is a [*ConnectError], or an [*AddressError] if addr
// cannot be one.
func DialTCP(ctx context.Context, addr string) (net.Conn, error) {
	full, err := NormalizeAddr(addr)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{
		Timeout: dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     dialKeepIdle,
			Interval: dialKeepInterval,
			Count:    dialKeepCount,
		},
		Control: dialUserTimeout,
	}
	conn, err := d.DialContext(ctx, "tcp", full) // sets TCP_NODELAY by itself
	if err != nil {
		return nil, &ConnectError{Addr: full, Err: err}
	}
	return conn, nil
}

// dialUserTimeout bounds how long sent data may stay unacknowledged.
func dialUserTimeout(_, _ string, raw syscall.RawConn) error {
	var opt error
	err := raw.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, dialUserTimeoutMS)
	})
	if err != nil {
		return err
	}
	return opt
}

// NormalizeAddr turns what people write for a job server into host:port:
// spaces around it are dropped, a missing port becomes [DefaultPort], an IPv6
// address stands in brackets ("[::1]", "[::1]:4730"). It does not resolve
// names. The error is an [*AddressError] that says what is wanted.
func NormalizeAddr(addr string) (string, error) {
	addr = strings.TrimSpace(addr)
	host, port, err := dialSplit(addr)
	if err != nil {
		return "", err
	}
	if problem := dialHostProblem(host); problem != "" {
		return "", &AddressError{addr, problem}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", &AddressError{addr, fmt.Sprintf("port %q is not a number from 1 to 65535", port)}
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// dialSplit takes an address apart; the port may be missing.
func dialSplit(addr string) (host, port string, err error) {
	bracketed := strings.HasPrefix(addr, "[")
	switch {
	case addr == "":
		return "", "", &AddressError{addr, "is empty, want host or host:port"}
	case strings.Contains(addr, "://"):
		return "", "", &AddressError{addr, "is a URL, want host:port alone"}
	case !bracketed && strings.Count(addr, ":") > 1:
		return "", "", &AddressError{addr, "has several colons; an IPv6 address stands in brackets, as in [::1]:4730"}
	case bracketed && strings.HasSuffix(addr, "]"), !bracketed && !strings.Contains(addr, ":"):
		addr += ":" + strconv.Itoa(DefaultPort)
	}
	host, port, err = net.SplitHostPort(addr)
	if err != nil {
		return "", "", &AddressError{addr, "want host:port, or [IPv6]:port"}
	}
	if ip, err := netip.ParseAddr(host); bracketed && (err != nil || !ip.Is6()) {
		return "", "", &AddressError{addr, fmt.Sprintf("%q in brackets is no IPv6 address", host)}
	}
	return host, port, nil
}

// dialHostProblem says what is wrong with a host name, or nothing.
func dialHostProblem(host string) string {
	if host == "" {
		return "names no host, want host:port"
	}
	if i := strings.IndexFunc(host, dialBadInHost); i >= 0 {
		return fmt.Sprintf("%q cannot be in a host name", host[i:i+1])
	}
	return ""
}

// dialBadInHost finds what is never in a name or an address; the resolver has
// the last word on the rest.
func dialBadInHost(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\,;@"'()<>[]`, r)
}

// dialFailed makes the error of a dial say which server it was, or why ctx
// ended.
func dialFailed(ctx context.Context, addr string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	switch err.(type) { //nolint:errorlint // only the outermost one names the server
	case *ConnectError, *AddressError:
		return err
	default:
		return &ConnectError{Addr: addr, Err: err}
	}
}
