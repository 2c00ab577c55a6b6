// Package jobtest gives tests what they need of our own side of Gearman: an
// embedded job server, clients and admins. Package testutil has the rest, among
// it Debian's job server.
//
// Everything takes the test and fails it instead of returning an error, so it is
// called by the test's own goroutine, and what it makes ends with the test.
package jobtest

import (
	"context"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// StartJobServer starts an embedded job server, which the test's end stops, or
// [StopJobServer] earlier. Without an address in conf it is on a free port of
// 127.0.0.1.
func StartJobServer(tb testing.TB, conf jobserver.Config) *jobserver.Server {
	tb.Helper()
	s, err := jobserver.New(conf)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil { // the test's context ends before its clean-up
		tb.Fatal(err)
	}
	tb.Cleanup(func() { StopJobServer(tb, s) })
	return s
}

// StopJobServer stops an embedded job server; a second time does nothing.
func StopJobServer(tb testing.TB, s *jobserver.Server) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		tb.Error(err)
	}
}

// NewClient makes a client of one server, which the test's end closes.
func NewClient(tb testing.TB, addr string) *gearclient.Client {
	tb.Helper()
	return NewClientWith(tb, gearclient.ClientConfig{Servers: []string{addr}})
}

// NewClientWith makes a client, which the test's end closes.
func NewClientWith(tb testing.TB, cfg gearclient.ClientConfig) *gearclient.Client {
	tb.Helper()
	c, err := gearclient.NewClient(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// NewAdmin makes an admin of a server, which the test's end closes.
func NewAdmin(tb testing.TB, addr string) *gearclient.Admin {
	tb.Helper()
	return NewAdminWith(tb, gearclient.AdminConfig{Server: addr})
}

// NewAdminWith makes an admin, which the test's end closes.
func NewAdminWith(tb testing.TB, cfg gearclient.AdminConfig) *gearclient.Admin {
	tb.Helper()
	a, err := gearclient.NewAdmin(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = a.Close() })
	return a
}

// StartWorker runs a worker, which the test's end ends.
func StartWorker(tb testing.TB, cfg gearclient.WorkerConfig) {
	tb.Helper()
	w, err := gearclient.NewWorker(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Run(ctx) // the context ends it
	}()
	tb.Cleanup(func() {
		cancel()
		<-ended
	})
}
