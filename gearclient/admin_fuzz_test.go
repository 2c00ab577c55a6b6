package gearclient_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
)

// cannedConn answers whatever is written with the same bytes, and then ends.
type cannedConn struct {
	net.Conn // nil: nothing else is called
	reply    *bytes.Reader
}

func (c cannedConn) Read(b []byte) (int, error)       { return c.reply.Read(b) }
func (c cannedConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c cannedConn) Close() error                     { return nil }
func (c cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (c cannedConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzAdmin feeds any bytes to the parsers of all replies. None may panic, and
// what they accept has to make sense.
func FuzzAdmin(f *testing.F) {
	f.Fuzz(func(t *testing.T, reply []byte) {
		dial := func(context.Context, string) (net.Conn, error) {
			return cannedConn{reply: bytes.NewReader(reply)}, nil
		}
		a, err := gearclient.NewAdmin(gearclient.AdminConfig{Server: "a", Dial: dial, MaxReply: 1 << 16})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Close() }()
		fuzzTables(t, a, reply)
		ctx := t.Context()
		if pid, err := a.PID(ctx); err == nil && !strings.HasPrefix(string(reply), "OK ") {
			t.Errorf("pid %d from %q", pid, reply)
		}
		if v, err := a.Version(ctx); err == nil && !strings.HasPrefix(string(reply), "OK") {
			t.Errorf("version %q from %q", v, reply)
		}
		if err := a.DropFunction(ctx, "f"); err == nil {
			t.Errorf("dropped after the same reply to status and drop: %q", reply)
		}
	})
}

func fuzzTables(t *testing.T, a *gearclient.Admin, reply []byte) {
	t.Helper()
	rows := bytes.Count(reply, []byte("\n"))
	status, err := a.Status(t.Context())
	for _, s := range status {
		if s.Total < 0 || s.Running < 0 || s.Running > s.Total || s.Workers < 0 || !bytes.Contains(reply, []byte(s.Function+"\t")) {
			t.Errorf("%+v from %q", s, reply)
		}
	}
	queues, err2 := a.Queues(t.Context())
	for _, q := range queues {
		if q.High < 0 || q.Normal < 0 || q.Low < 0 || q.Workers < 0 {
			t.Errorf("%+v from %q", q, reply)
		}
	}
	workers, err3 := a.Workers(t.Context())
	jobs, err4 := a.Jobs(t.Context())
	keys, err5 := a.UniqueJobs(t.Context())
	for i, n := range []int{len(status), len(queues), len(workers), len(jobs), len(keys)} {
		failed := []error{err, err2, err3, err4, err5}[i] != nil
		if n >= rows && n > 0 || failed && n > 0 {
			t.Errorf("list %d has %d rows of %d lines, error %t: %q", i, n, rows, failed, reply)
		}
	}
}
