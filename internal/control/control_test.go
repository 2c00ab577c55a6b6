package control_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// fakeFleet is a fleet without workers.
type fakeFleet struct {
	mu   sync.Mutex
	jobs []control.SuspectJob
	did  []string
	// events and logs answer, if they are not nil.
	events func(context.Context, control.EventsQuery, func(control.Event) error) error
	logs   func(context.Context, control.LogsQuery, func(control.LogLine) error) error
	wait   chan struct{} // releases send to it, then wait for it to be closed, if it is not nil
}

func (f *fakeFleet) Manager() control.Manager {
	return control.Manager{PID: 42, Version: "v9", Config: "/etc/c.ini", Started: time.Unix(1, 0).UTC()}
}

func (f *fakeFleet) Status(q control.StatusQuery) (control.Status, error) {
	if q.Function == "none" {
		return control.Status{}, &control.NotFoundError{Err: errors.New("no such function")}
	}
	if q != (control.StatusQuery{}) {
		f.note("status %+v", q)
	}
	return control.Status{
		Manager: f.Manager(), At: time.Unix(2, 0).UTC(),
		Servers: []control.JobServer{{Address: "a:1", Slots: 3}},
		Pools: []control.Pool{{
			Name: "resize", Functions: []string{"resize"},
			Workers: []control.Worker{{Name: "resize/1", PID: 7, State: "ready", Jobs: []control.Job{{Handle: "H:a:1", ForMS: 5}}}},
		}},
	}, nil
}

func (f *fakeFleet) Quarantine() []control.SuspectJob {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.jobs)
}

func (f *fakeFleet) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, fmt.Sprintf(format, args...))
}

func (f *fakeFleet) done() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.did)
}

func (f *fakeFleet) Release(_ context.Context, server, handle string) (int, error) {
	if f.wait != nil {
		f.wait <- struct{}{}
		for range f.wait { // it is closed when the test has seen enough
		}
	}
	if handle == "none" {
		return 0, &control.NotFoundError{Err: errors.New("no such job")}
	}
	f.note("release %s %s", server, handle)
	return 2, nil
}

func (f *fakeFleet) ReleaseAll(context.Context) int {
	f.note("release all")
	return 5
}

func (f *fakeFleet) Retry(function string) error {
	f.note("retry %s", function)
	if function == "busy" {
		return errors.New("it is being started already")
	}
	return nil
}

func (f *fakeFleet) Reload(_ context.Context, req control.ReloadRequest) (control.ReloadReport, error) {
	f.note("reload %+v", req)
	return control.ReloadReport{
		Changes:  []control.PoolChange{{Pool: "resize", What: []string{"count 2 → 6"}}},
		Problems: []control.Problem{{File: "c.ini", Line: 3, Severity: "error", Message: "oh"}}, Refused: true,
	}, nil
}

func (f *fakeFleet) Restart(_ context.Context, function string) (int, error) {
	f.note("restart %q", function)
	return 3, nil
}

func (f *fakeFleet) Scale(_ context.Context, scalings []control.Scaling) error {
	f.note("scale %v", scalings)
	return nil
}

func (f *fakeFleet) Pause(_ context.Context, function string) error {
	f.note("pause %s", function)
	return nil
}

func (f *fakeFleet) Drain(_ context.Context, function string) error {
	f.note("drain %s", function)
	return nil
}

func (f *fakeFleet) Resume(ctx context.Context, function string) error {
	f.note("resume %s", function)
	return ctx.Err()
}

func (f *fakeFleet) SetLogLevel(_ context.Context, function string, verbosity int) error {
	f.note("log level %q %d", function, verbosity)
	return nil
}

func (f *fakeFleet) LogLevels() control.LogLevels {
	return control.LogLevels{Verbosity: 1, Functions: []control.FunctionLevel{{Function: "f", Verbosity: 3}}}
}

func (f *fakeFleet) Stop() (int, error) {
	f.note("stop")
	return 1, nil
}

func (f *fakeFleet) Why(_ context.Context, function string) (control.Why, error) {
	if function == "none" {
		return control.Why{}, &control.NotFoundError{Err: errors.New("no such function")}
	}
	return control.Why{Function: function, Reasons: []control.Reason{{Code: "paused", Message: "it is paused", Blocks: true}}}, nil
}

func (f *fakeFleet) Events(ctx context.Context, q control.EventsQuery, send func(control.Event) error) error {
	if f.events != nil {
		return f.events(ctx, q, send)
	}
	return nil
}

func (f *fakeFleet) Logs(ctx context.Context, q control.LogsQuery, send func(control.LogLine) error) error {
	if f.logs != nil {
		return f.logs(ctx, q, send)
	}
	return nil
}

// rig is a server and who talks to it.
type rig struct {
	fleet  *fakeFleet
	path   string
	client *control.Client

	mu      sync.Mutex
	changes []string
}

func open(t *testing.T, fleet *fakeFleet) *rig {
	t.Helper()
	r := &rig{fleet: fleet, path: filepath.Join(t.TempDir(), "control")}
	r.client = control.NewClient(r.path)
	server, err := control.Open(t.Context(), control.Config{Path: r.path, Fleet: fleet, OnChange: r.change})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(r.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return r
}

func (r *rig) change(c control.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what := c.Request
	if c.What != "" {
		what += " (" + c.What + ")"
	}
	if c.Peer.UID != os.Getuid() || c.Peer.GID != os.Getgid() || c.Peer.PID != os.Getpid() {
		what = fmt.Sprintf("%s by %+v", what, c.Peer)
	}
	r.changes = append(r.changes, fmt.Sprintf("%s: %v", what, c.Err))
}

// raw sends bytes and returns what comes back until the connection is closed.
func (r *rig) raw(t *testing.T, text string) string {
	t.Helper()
	conn := r.dial(t)
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, text); err != nil {
		return "" // it was cut off in the middle
	}
	got, _ := io.ReadAll(conn)
	return string(got)
}

func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(testutil.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestCalls(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{jobs: []control.SuspectJob{{Handle: "H:a:1", Quarantined: true, Attempts: 3}}}
	r := open(t, fleet)
	if got, err := r.client.Manager(t.Context()); err != nil || got != fleet.Manager() {
		t.Errorf("manager %+v, %v", got, err)
	}
	got, err := r.client.Status(t.Context())
	whole, _ := fleet.Status(control.StatusQuery{})
	if diff := cmp.Diff(whole, got); err != nil || diff != "" {
		t.Errorf("status: %v, %s", err, diff)
	}
	list, err := r.client.Quarantine(t.Context())
	if diff := cmp.Diff(fleet.jobs, list.Jobs); err != nil || diff != "" {
		t.Errorf("quarantine: %v, %s", err, diff)
	}
	if n, err := r.client.Release(t.Context(), control.ReleaseRequest{Server: "s:1", Handle: "H:a:1"}); n != 2 || err != nil {
		t.Errorf("release: %d, %v", n, err)
	}
	if n, err := r.client.Release(t.Context(), control.ReleaseRequest{All: true}); n != 5 || err != nil {
		t.Errorf("release all: %d, %v", n, err)
	}
	if err := r.client.Retry(t.Context(), "f"); err != nil {
		t.Errorf("retry: %v", err)
	}
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{second(r.client.Release(t.Context(), control.ReleaseRequest{})), 400, "no job is named"},
		{second(r.client.Release(t.Context(), control.ReleaseRequest{All: true, Handle: "x"})), 400, "exclude each other"},
		{second(r.client.Release(t.Context(), control.ReleaseRequest{Handle: "none"})), 404, "no such job"},
		{second(r.client.Release(t.Context(), control.ReleaseRequest{Handle: strings.Repeat("x", 100_000)})), 400, "too large"},
		{r.client.Retry(t.Context(), ""), 400, "no function is named"},
		{r.client.Retry(t.Context(), "busy"), 409, "being started already"},
	} {
		if e, ok := errors.AsType[*control.AnswerError](c.err); !ok || e.Status != c.status || !strings.Contains(e.Message, c.want) {
			t.Errorf("%v, want %d and %q", c.err, c.status, c.want)
		}
	}
	if want := []string{"release s:1 H:a:1", "release all", "retry f", "retry busy"}; !slices.Equal(fleet.done(), want) {
		t.Errorf("did %q, want %q", fleet.done(), want)
	}
	want := []string{
		"POST /v1/quarantine/release (release job H:a:1 of s:1): <nil>", "POST /v1/quarantine/release (release all jobs): <nil>",
		"POST /v1/retry (retry f): <nil>",
		"POST /v1/quarantine/release: no job", "POST /v1/quarantine/release: all jobs", "POST /v1/quarantine/release (release job none): no such job",
		"POST /v1/quarantine/release: read request: http: request body too large", "POST /v1/retry: no function", "POST /v1/retry (retry busy): it is",
	}
	if !slices.EqualFunc(r.changes, want, strings.HasPrefix) {
		t.Errorf("told %q, want %q", r.changes, want)
	}
}

func second[T any](_ T, err error) error { return err }

func TestSocket(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	info, err := os.Stat(r.path)
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := control.Open(t.Context(), control.Config{Path: r.path, Fleet: r.fleet}); err == nil || !strings.Contains(err.Error(), "open control socket "+r.path) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := r.client.Manager(t.Context()); err != nil {
		t.Errorf("the first one: %v", err)
	}
	if _, err := control.NewClient(r.path + "x").Manager(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

func TestOddRequests(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	post := func(body string) string {
		return fmt.Sprintf("POST /v1/quarantine/release HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	for name, c := range map[string][2]string{
		"garbage":             {"\x00\xff\x16\x03\x01 garbage\r\n\r\n", "HTTP/1.1 400 "},
		"no such path":        {"GET /v2/status HTTP/1.0\r\n\r\n", "HTTP/1.0 404 "},
		"another method":      {"DELETE /v1/status HTTP/1.0\r\n\r\n", "HTTP/1.0 404 "},
		"GET for a change":    {"GET /v1/retry HTTP/1.0\r\n\r\n", "HTTP/1.0 404 "},
		"dots":                {"GET /v1/../../etc/passwd HTTP/1.0\r\n\r\n", "HTTP/1.0 "},
		"large header":        {"GET /v1/status HTTP/1.0\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", ""},
		"no JSON":             {post("handle=x"), "HTTP/1.1 400 "},
		"an array":            {post("[]"), "HTTP/1.1 400 "},
		"an unknown field":    {post(`{"handle": "x", "dry_run": true}`), "HTTP/1.1 400 "},
		"another type":        {post(`{"all": "true"}`), "HTTP/1.1 400 "},
		"more behind it":      {post(`{"all": true} {}`), "HTTP/1.1 400 "},
		"nothing":             {post(""), "HTTP/1.1 400 "},
		"null":                {post("null"), "HTTP/1.1 400 "},
		"deep":                {post(strings.Repeat(`{"all":`, 10_000)), "HTTP/1.1 400 "},
		"negative length":     {"POST /v1/retry HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 "},
		"length and chunked":  {"POST /v1/retry HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
		"an enormous promise": {"POST /v1/retry HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n" + strings.Repeat("x", 100_000), ""},
	} {
		if got := r.raw(t, c[0]); !strings.HasPrefix(got, c[1]) {
			t.Errorf("%s: %.200q, want %q", name, got, c[1])
		}
	}
	if did := r.fleet.done(); len(did) != 0 {
		t.Errorf("did %q", did)
	}
	if _, err := r.client.Status(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestHeldConnections: peers that send nothing, or half a request, are cut off, and
// whoever comes after them is served.
func TestHeldConnections(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for i := range control.MaxConns + 10 {
		conn := r.dial(t)
		held = append(held, conn)
		if i%2 == 0 {
			if _, err := io.WriteString(conn, "POST /v1/retry HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.client.Status(t.Context()); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

// TestManyAtOnce: a flood of requests is answered, each of them.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t, &fakeFleet{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				if _, err := r.client.Status(t.Context()); err != nil {
					t.Error(err)
				}
				if err := r.client.Retry(t.Context(), "f"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := len(r.fleet.done()); n != 400 {
		t.Errorf("did %d, want 400", n)
	}
}

// TestCloseWithOpenConnections: Close ends in spite of peers that stay, and waits for
// a request that is being done.
func TestCloseWithOpenConnections(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{wait: make(chan struct{})}
	path := filepath.Join(t.TempDir(), "control")
	server, err := control.Open(t.Context(), control.Config{Path: path, Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{fleet: fleet, path: path}
	silent := r.dial(t)
	defer func() { _ = silent.Close() }()
	kept := r.dial(t)
	defer func() { _ = kept.Close() }()
	if _, err := io.WriteString(kept, "GET /v1/manager HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(kept), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	waiting := r.dial(t)
	defer func() { _ = waiting.Close() }()
	if _, err := io.WriteString(waiting, "POST /v1/quarantine/release HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{\"handle\":\"h\"}"); err != nil {
		t.Fatal(err)
	}
	<-fleet.wait // it is being done
	closed := make(chan error, 1)
	go func() { closed <- server.Close(t.Context()) }()
	select {
	case err := <-closed:
		t.Fatalf("it did not wait for the request: %v", err)
	case <-time.After(2 * time.Second):
	}
	close(fleet.wait)
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testutil.Patience):
		t.Fatal("it does not end")
	}
	if want := []string{"release  h"}; !slices.Equal(fleet.done(), want) {
		t.Errorf("did %q", fleet.done())
	}
}

// TestOthersAreRefused: the kernel says who asks.
func TestOthersAreRefused(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{}
	handler := control.HandlerFor(fleet, 1000)
	for uid, want := range map[int]int{0: 200, 1000: 200, 1001: 403, -1: 403} {
		if got := control.Ask(handler, control.Peer{UID: uid}, http.MethodGet, "/v1/status", ""); got != want {
			t.Errorf("user %d may read: %d, want %d", uid, got, want)
		}
		if got := control.Ask(handler, control.Peer{UID: uid}, http.MethodPost, "/v1/retry", `{"function": "f"}`); got != want {
			t.Errorf("user %d may change: %d, want %d", uid, got, want)
		}
	}
	if n := len(fleet.done()); n != 2 {
		t.Errorf("did %d, want 2", n)
	}
}

func TestClientAndOtherServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]string{
		"no HTTP":        {"SSH-2.0-OpenSSH\r\n", "malformed HTTP"},
		"no JSON":        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "read its answer"},
		"an error page":  {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\n<h1>", "it answered 502 Bad Gateway"},
		"a cut answer":   {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{", "unexpected EOF"},
		"nothing at all": {"", "EOF"},
	} {
		path := filepath.Join(t.TempDir(), "s")
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, c[0])
				_ = conn.Close()
			}
		})
		if _, err := control.NewClient(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %q", name, err, c[1])
		}
		_ = l.Close()
		serving.Wait()
	}
}
