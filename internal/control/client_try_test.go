package control_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// shaky is a server that closes its first connections without a full answer.
type shaky struct {
	*net.UnixListener

	closes int    // how many
	says   string // before it closes one

	serving sync.WaitGroup
	asked   int // read it after stop
}

// unread is of a server that closes without reading, perhaps before anything was sent.
const unread = "unread"

func newShaky(t *testing.T, closes int, says string) *shaky {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return &shaky{UnixListener: l, closes: closes, says: says}
}

func (s *shaky) start() {
	s.serving.Go(func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			s.answer(conn)
		}
	})
}

func (s *shaky) answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if s.says == unread && s.asked < s.closes {
		s.asked++
		return
	}
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	says := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	if s.asked++; s.asked <= s.closes {
		says = s.says
	}
	_, _ = io.WriteString(conn, says)
}

func (s *shaky) stop() int {
	_ = s.Close()
	s.serving.Wait()
	return s.asked
}

// TestClientAsksAgain: a question is asked again if no answer has begun, a few times;
// a change is not.
func TestClientAsksAgain(t *testing.T) {
	t.Parallel()
	status := func(c *control.Client) error { return second(c.Status(t.Context())) }
	events := func(c *control.Client) error {
		return c.Events(t.Context(), control.EventsQuery{}, func(control.Event) error { return nil })
	}
	retry := func(c *control.Client) error { return c.Retry(t.Context(), "f") }
	for name, c := range map[string]struct {
		closes int
		says   string
		do     func(*control.Client) error
		asked  int
		fails  bool
	}{
		"at once":               {0, "", status, 1, false},
		"two are closed":        {2, "", status, 3, false},
		"two are closed unread": {2, unread, status, 3, false},
		"events":                {2, "", events, 3, false},
		"all are closed":        {9, "", status, 3, true},
		"an answer has begun":   {1, "HTTP", status, 1, true},
		"a cut answer":          {1, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{", status, 1, true},
		"a change":              {1, "", retry, 1, true},
	} {
		s := newShaky(t, c.closes, c.says)
		s.start()
		if err := c.do(control.NewClient(s.Addr().String())); (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
		if asked := s.stop(); asked != c.asked {
			t.Errorf("%s: asked %d times, want %d", name, asked, c.asked)
		}
	}
}

// TestClientWaitsForATurn: where too many wait for the manager already, a client waits
// too.
func TestClientWaitsForATurn(t *testing.T) {
	t.Parallel()
	s := newShaky(t, 0, "")
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), 1) }); err != nil {
		t.Fatal(err)
	}
	full := false
	for !full {
		var d net.Dialer
		conn, err := d.DialContext(t.Context(), "unix", s.Addr().String())
		if full = err != nil; !full {
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, getStatus)
		}
	}
	answered := make(chan error, 1)
	go func() { answered <- second(control.NewClient(s.Addr().String()).Status(t.Context())) }()
	select {
	case err := <-answered:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond): // it has tried
		s.start()
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	s.stop()
}
