package control_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

const getStatus = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"

// TestPoliteUnderFlood: while others hold half requests, or ask and go, or send garbage,
// one after another, whoever asks
// is answered, nearly always at the first attempt.
func TestPoliteUnderFlood(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	defer flood(t, r, 2*control.MaxConns, func(conn net.Conn) { hold(conn, "GET /v1/status HTTP/1.1\r\nHost: m") })()
	for range 2 {
		defer flood(t, r, 1, func(conn net.Conn) { _, _ = io.WriteString(conn, strings.Repeat(getStatus, 10)) })()
		defer flood(t, r, 1, func(conn net.Conn) { _, _ = io.WriteString(conn, "\x16\x03\x01 garbage") })()
		defer flood(t, r, 1, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "POST /v1/reload HTTP/1.1\r\nHost: m\r\nContent-Length: 999999999\r\n\r\n{{{{")
		})()
	}
	closed := 0
	for range 20 {
		begun := time.Now()
		if err := control.AskOnce(t.Context(), r.client); err != nil {
			closed++
		}
		if _, err := r.client.Status(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > testutil.Patience/3 {
			t.Errorf("it took %v", took)
		}
	}
	if closed > 2 { // on a busy machine one may be slower with its request than there is patience
		t.Errorf("%d of 20 connections were closed without an answer", closed)
	}
}

// TestBusyPeersGiveWay: peers that ask one question after another over connections that
// they keep do not have all of them.
func TestBusyPeersGiveWay(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	defer flood(t, r, control.MaxConns+6, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			if _, err := io.WriteString(conn, getStatus); err != nil {
				return
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})()
	for range 5 {
		begun := time.Now()
		if _, err := r.client.Status(t.Context()); err != nil || time.Since(begun) > testutil.Patience/3 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	}
}

// TestCrowded: a connection is kept for more requests while there is room for others.
func TestCrowded(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	kept := func() bool {
		conn := r.dial(t)
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, getStatus); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return !resp.Close
	}
	if !kept() {
		t.Error("it is closed though nobody else is there")
	}
	for range control.MaxConns / 2 {
		conn := r.dial(t)
		defer func() { _ = conn.Close() }()
	}
	if kept() {
		t.Error("it is kept though many are there")
	}
}

// TestUnreadAnswers: peers that ask for long answers and do not read them keep nobody out.
func TestUnreadAnswers(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{jobs: make([]control.SuspectJob, 3000)})
	for range control.MaxConns {
		conn := r.dial(t)
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "GET /v1/quarantine HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	for range 3 {
		if err := control.AskOnce(t.Context(), r.client); err != nil || time.Since(begun) > testutil.Patience/2 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	}
}

// hold sends something and then nothing, until the other side closes.
func hold(conn net.Conn, text string) {
	_, _ = io.WriteString(conn, text)
	_, _ = io.Copy(io.Discard, conn)
}

// flood has many peers do something, each with one connection after another, until the
// function that it returns is called.
func flood(t *testing.T, r *rig, peers int, do func(net.Conn)) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	for range peers {
		ended.Go(func() {
			for ctx.Err() == nil {
				var d net.Dialer
				conn, err := d.DialContext(ctx, "unix", r.path)
				if err != nil { // too many wait
					select {
					case <-time.After(time.Millisecond):
					case <-ctx.Done():
					}
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				do(conn)
				stop()
				_ = conn.Close()
			}
		})
	}
	return func() {
		cancel()
		ended.Wait()
	}
}

// TestGarbageIsClosedAtOnce: what cannot become a request is not waited for, and a
// request that is refused before its end is not either.
func TestGarbageIsClosedAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	begun := time.Now()
	for range 100 {
		for text, want := range map[string]string{
			"\x16\x03\x01": "HTTP/1.1 400 ",
			"POST /v1/reload HTTP/1.1\r\nHost: m\r\nContent-Length: 999999999\r\n\r\n{{{{": "HTTP/1.1 400 ",
			"POST /v1/retry HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\n]]]]":        "HTTP/1.1 400 ",
			"GET /" + strings.Repeat("x", 70_000) + " HTTP/1.1\r\n\r\n":                    "HTTP/1.1 431 ",
		} {
			if got := r.raw(t, text); got != "" && !strings.HasPrefix(got, want) || got == "" && len(text) < 1000 {
				t.Errorf("%.40q: %q, want %q", text, got, want)
			}
		}
	}
	if took := time.Since(begun); took > testutil.Patience {
		t.Errorf("it took %v", took)
	}
}

// TestHalfRequestsEnd: half a request is not waited for for long, though there is room.
func TestHalfRequestsEnd(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	for _, text := range []string{"", "GET /v1/status HTTP/1.1\r\nHost:", "POST /v1/retry HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"} {
		conn := r.dial(t)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil { // that it took too long
			t.Errorf("%q: %v", text, err)
		}
		_ = conn.Close()
	}
}

// TestAbandoned: a peer that has closed is known to have gone; one that only sends no
// more is not.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	peer, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: l.Addr().String(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if control.Abandoned(conn) {
		t.Error("it is there")
	}
	if err := peer.CloseWrite(); err != nil || control.Abandoned(conn) {
		t.Errorf("it can read: %v", err)
	}
	if err := peer.Close(); err != nil || !control.Abandoned(conn) {
		t.Errorf("it has gone: %v", err)
	}
}
