package control_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// TestFlood: a thousand connections that send nothing, half a request, one letter after
// another, garbage, or bodies without an end. Whoever has a question is answered in good
// time.
func TestFlood(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	over := make(chan struct{})
	var flooding sync.WaitGroup
	for i := range 1000 {
		flooding.Go(func() {
			for again := true; again; {
				var d net.Dialer
				if conn, err := d.DialContext(t.Context(), "unix", r.path); err == nil {
					annoy(conn, i, over)
					_ = conn.Close()
				}
				select {
				case <-over:
					again = false
				case <-time.After(time.Duration(rand.IntN(100)) * time.Millisecond):
				}
			}
		})
	}
	for range 8 {
		begun := time.Now()
		if _, err := r.client.Status(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > testutil.Patience/2 {
			t.Errorf("it took %v", took)
		}
	}
	close(over)
	flooding.Wait()
	if did := r.fleet.done(); len(did) > 0 {
		t.Errorf("did %q", did)
	}
}

// annoy does one of many things that nobody wants.
func annoy(conn net.Conn, kind int, over <-chan struct{}) {
	_ = conn.SetDeadline(time.Now().Add(testutil.Patience))
	text := map[int]string{
		1: "GET /v1/status HTTP/1.1\r\nHost:", 2: "\x16\x03\x01\x00\xff garbage \x00", 3: "POST /v1/retry HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 300_000),
		4: "GET /v1/events?follow=1&x=y HTTP/1.1\r\nHost: x\r\n\r\n",
	}[kind%6]
	if kind%6 == 5 { // a slow loris
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for _, letter := range "GET /v1/status HTTP/1.1\r\nX: " + strings.Repeat("x", 500) {
			select {
			case <-over:
				return
			case <-every.C:
			}
			if _, err := io.WriteString(conn, string(letter)); err != nil {
				return
			}
		}
		return
	}
	_, _ = io.WriteString(conn, text)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
	}()
	select {
	case <-over:
		_ = conn.Close()
		<-gone
	case <-gone:
	}
}

// BenchmarkStatus is the answer for a fleet of 500 workers, each with a job.
func BenchmarkStatus(b *testing.B) {
	status := control.Status{}
	for p := range 10 {
		pool := control.Pool{Name: fmt.Sprint("pool", p), Functions: []string{"f"}}
		for w := range 50 {
			n := uint64(w)
			pool.Workers = append(pool.Workers, control.Worker{
				Name: fmt.Sprintf("pool%d/%d", p, w), PID: 1000 + w, State: "ready", Since: time.Now(), Done: &n, Failed: &n,
				Hash: strings.Repeat("a", 64), Jobs: []control.Job{{Function: "f", Server: "127.0.0.1:4730", Handle: "H:host:1", ForMS: 5}},
			})
		}
		status.Pools = append(status.Pools, pool)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(status); err != nil {
			b.Fatal(err)
		}
	}
}
