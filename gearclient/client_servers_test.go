package gearclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// accepting is a server that accepts every background job.
func accepting(t *testing.T) *geartest.Server {
	t.Helper()
	n := 0
	return geartest.Start(t, geartest.EveryConn(append(option(), geartest.Loop(geartest.Answer(func(wire.Packet) []wire.Packet {
		n++
		return []wire.Packet{geartest.Res(wire.JobCreated, fmt.Sprintf("H:t:%d", n))}
	})))...))
}

func TestNextServerTakesTheJob(t *testing.T) {
	t.Parallel()
	s := accepting(t)
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{testutil.FreeAddr(t), s.Addr(), testutil.FreeAddr(t)}})
	for range 20 {
		if h, err := c.Background(t.Context(), gearclient.Request{Function: "f"}); err != nil || h.Server != s.Addr() {
			t.Fatalf("%v, %v", h, err)
		}
	}
}

// TestDownServerIsTriedLast counts the dials of a server that refuses: after
// the first one, others come first for a while.
func TestDownServerIsTriedLast(t *testing.T) {
	t.Parallel()
	s := accepting(t)
	var mu sync.Mutex
	dials := 0
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		if addr == s.Addr() {
			return gearclient.DialTCP(ctx, addr)
		}
		mu.Lock()
		defer mu.Unlock()
		dials++
		return nil, errors.New("no route")
	}
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{"down:1", s.Addr()}, Dial: dial})
	began := time.Now()
	for range 200 {
		if _, err := c.Background(t.Context(), gearclient.Request{Function: "f"}); err != nil {
			t.Fatal(err)
		}
	}
	if limit := 1 + int(time.Since(began)/time.Second); dials < 1 || dials > limit {
		t.Errorf("%d dials of a server that is down, want 1 to %d", dials, limit)
	}
}

func TestNoServerCanBeReached(t *testing.T) {
	t.Parallel()
	a, b := testutil.FreeAddr(t), testutil.FreeAddr(t)
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{a, b}})
	_, err := c.Submit(t.Context(), gearclient.Request{Function: "f"})
	_, ok := errors.AsType[*gearclient.UnreachableError](err)
	if !ok || !strings.Contains(err.Error(), a) || !strings.Contains(err.Error(), b) || !gearclient.SafeToRetry(err) {
		t.Errorf("%v, want both addresses, safe to retry", err)
	}
	one := jobtest.NewClient(t, a)
	_, err = one.Submit(t.Context(), gearclient.Request{Function: "f"})
	if _, ok := errors.AsType[*gearclient.ConnectError](err); !ok || !gearclient.SafeToRetry(err) {
		t.Errorf("%v, want a ConnectError, safe to retry", err)
	}
}

func TestDialEndsWithContextAndClose(t *testing.T) {
	t.Parallel()
	dialing := make(chan struct{}, 8)
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		dialing <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{"a"}, Dial: dial})
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 2)
	submit := func(ctx context.Context) {
		_, err := c.Submit(ctx, gearclient.Request{Function: "f"})
		results <- err
	}
	go submit(ctx)
	<-dialing
	go submit(t.Context()) // waits for the first one's dial, then dials itself
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("first: %v", err)
	}
	<-dialing
	_ = c.Close()
	if err := <-results; !errors.Is(err, gearclient.ErrClosed) {
		t.Errorf("second: %v", err)
	}
}

// TestUniqueSelectsTheServer: the same key goes to the same server in whatever
// order a client lists them, and keys spread over all.
func TestUniqueSelectsTheServer(t *testing.T) {
	t.Parallel()
	a, b, c := accepting(t), accepting(t), accepting(t)
	one := newClient(t, a, b, c)
	other := newClient(t, c, a, b)
	count := map[string]int{}
	for i := range 150 {
		req := gearclient.Request{Function: "f", Unique: fmt.Sprintf("key %d", i)}
		if i%2 == 0 {
			req.Unique, req.Workload = gearclient.UniqueWorkload, fmt.Append(nil, i)
		}
		h1, err1 := one.Background(t.Context(), req)
		h2, err2 := other.Background(t.Context(), req)
		if err1 != nil || err2 != nil || h1.Server != h2.Server {
			t.Fatalf("%+v: %v, %v and %v, %v", req, h1, err1, h2, err2)
		}
		count[h1.Server]++
	}
	for _, s := range []*geartest.Server{a, b, c} {
		if n := count[s.Addr()]; n < 20 { // 50 expected; 20 is over five standard deviations away
			t.Errorf("%d of 150 keys went to %s: %v", n, s.Addr(), count)
		}
	}
}

func TestStatusAsksAllServers(t *testing.T) {
	t.Parallel()
	knows := geartest.Start(t, clientConn(
		geartest.Expect(wire.GetStatus, "H:t:1"),
		geartest.Send(wire.StatusRes, "H:t:1", "1", "0", "0", "0"),
		geartest.ExpectClose(),
	))
	ignorant := geartest.Start(t, clientConn(
		geartest.Expect(wire.GetStatus, "H:t:1"),
		geartest.Send(wire.StatusRes, "H:t:1", "0", "0", "0", "0"),
		geartest.ExpectClose(),
	))
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{testutil.FreeAddr(t), ignorant.Addr(), knows.Addr()}})
	st, err := c.Status(t.Context(), gearclient.Handle{Name: "H:t:1"})
	if err != nil || !st.Known || st.Server != knows.Addr() {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{testutil.FreeAddr(t)}, MaxData: 10})
	future := time.Now().Add(time.Hour)
	for want, req := range map[string]gearclient.Request{
		"names no function":       {},
		"512":                     {Function: strings.Repeat("f", 513)},
		"holds a NUL":             {Function: "f\x00"},
		"64 bytes, at most 63":    {Function: "f", Unique: strings.Repeat("u", 64)},
		"unique: holds a NUL":     {Function: "f", Unique: "\x00"},
		"workload has 11 bytes":   {Function: "f", Workload: make([]byte, 11)},
		"unknown priority 9":      {Function: "f", Priority: 9},
		"has no priority":         {Function: "f", RunAt: future, Priority: gearclient.PriorityLow},
		"its time is before 1970": {Function: "f", RunAt: time.Unix(-1, 0)},
	} {
		_, err := c.Background(t.Context(), req)
		invalid, ok := errors.AsType[*gearclient.RequestError](err)
		if !ok || !strings.Contains(err.Error(), want) || invalid.Function != req.Function || gearclient.SafeToRetry(err) {
			t.Errorf("%v, want a RequestError with %q", err, want)
		}
	}
	_, err := c.Submit(t.Context(), gearclient.Request{Function: "f", RunAt: future})
	if _, ok := errors.AsType[*gearclient.RequestError](err); !ok {
		t.Errorf("a foreground job at a set time: %v", err)
	}
}

func TestNewClientChecksServers(t *testing.T) {
	t.Parallel()
	if _, err := gearclient.NewClient(gearclient.ClientConfig{}); err == nil {
		t.Error("a client without servers")
	}
	_, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{"a", "b:x"}})
	if bad, ok := errors.AsType[*gearclient.AddressError](err); !ok || bad.Addr != "b:x" {
		t.Errorf("%v, want an AddressError of b:x", err)
	}
	c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{"a", "a:4730", "b:1"}})
	if got := fmt.Sprint(c.Servers()); got != "[a:4730 b:1]" {
		t.Error(got)
	}
}

func TestSafeToRetryOfOthers(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errors.New("x"), context.Canceled, gearclient.ErrAbandoned} {
		if gearclient.SafeToRetry(err) {
			t.Errorf("%v is safe to retry", err)
		}
	}
	if wrapped := fmt.Errorf("x: %w", &gearclient.ConnectError{Addr: "a", Err: errors.New("y")}); !gearclient.SafeToRetry(wrapped) {
		t.Error("a wrapped ConnectError is not safe to retry")
	}
}
