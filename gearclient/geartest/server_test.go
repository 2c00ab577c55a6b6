package geartest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// recorder is a testing.TB that keeps what a server reports.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	errs     []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errs) > 0
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

// finish ends the recorded test and returns what was reported.
func (r *recorder) finish() string {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
	return strings.Join(r.errs, "\n")
}

func record(t *testing.T) *recorder {
	t.Helper()
	return &recorder{TB: t}
}

// dial connects over TCP and closes at the end of the test.
func dial(t *testing.T, s *geartest.Server) net.Conn {
	t.Helper()
	conn, err := s.Dial(t.Context(), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, packets ...wire.Packet) {
	t.Helper()
	var b []byte
	for _, p := range packets {
		var err error
		if b, err = wire.Append(b, p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestScriptIsFollowed(t *testing.T) {
	t.Parallel()
	late, seen := make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, geartest.Conn(
		geartest.ExpectAnyOrder(geartest.Req(wire.CanDo, "a"), geartest.Req(wire.SetClientID, geartest.Any)),
		geartest.Expect(wire.GrabJob),
		geartest.Signal(seen),
		geartest.Wait(late),
		geartest.SendPart(5, wire.JobAssign, "H:1", "a", "data"),
		geartest.SendRest(),
		geartest.ExpectInOneRead(geartest.Req(wire.WorkComplete, "H:1", "out"), geartest.Req(wire.GrabJob)),
		geartest.SendBytewise(wire.NoJob),
		geartest.ExpectFunc(wire.PreSleep, func(wire.Packet) error { return nil }),
		geartest.SendTogether(geartest.Res(wire.Noop), geartest.Res(wire.Noop)),
		geartest.ExpectClose(),
	))
	conn := dial(t, s)
	r := wire.NewReader(conn, wire.Response, 0)
	send(t, conn, geartest.Req(wire.SetClientID, "me"), geartest.Req(wire.CanDo, "a"), geartest.Req(wire.GrabJob))
	<-seen
	close(late)
	wantNext(t, r, geartest.Res(wire.JobAssign, "H:1", "a", "data"))
	send(t, conn, geartest.Req(wire.WorkComplete, "H:1", "out"), geartest.Req(wire.GrabJob))
	wantNext(t, r, geartest.Res(wire.NoJob))
	send(t, conn, geartest.Req(wire.PreSleep))
	wantNext(t, r, geartest.Res(wire.Noop))
	wantNext(t, r, geartest.Res(wire.Noop))
	_ = conn.Close()
	<-s.Done()
	if s.Conns() != 1 {
		t.Errorf("%d connections, want 1", s.Conns())
	}
}

func wantNext(t *testing.T, r *wire.Reader, want wire.Packet) {
	t.Helper()
	got, err := r.Next()
	if err != nil || got.String() != want.String() {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
}

func TestTextSteps(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.Conn(
		geartest.ExpectLine("status"),
		geartest.SendLines("."),
		geartest.ExpectBytes([]byte("version\r\n")),
		geartest.SendRaw([]byte("OK")),
		geartest.Close(),
	))
	conn := dial(t, s)
	say(t, conn, "status\r\nversion\r\n")
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != ".\r\nOK" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestLoopAndEveryConn(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t,
		geartest.Conn(geartest.Loop(geartest.Expect(wire.EchoReq, geartest.Any), geartest.Send(wire.EchoRes, "x"))),
		geartest.EveryConn(geartest.Expect(wire.GrabJob), geartest.Send(wire.NoJob), geartest.NeverAnswer()),
	)
	first := dial(t, s)
	r := wire.NewReader(first, wire.Response, 0)
	for range 3 {
		send(t, first, geartest.Req(wire.EchoReq, "y"))
		wantNext(t, r, geartest.Res(wire.EchoRes, "x"))
	}
	_ = first.Close()
	<-s.Done()
	for range 3 {
		conn := dial(t, s)
		send(t, conn, geartest.Req(wire.GrabJob), geartest.Req(wire.GrabJob), geartest.Req(wire.GrabJob))
		wantNext(t, wire.NewReader(conn, wire.Response, 0), geartest.Res(wire.NoJob))
	}
	_ = dial(t, s).Close() // ends before its first step
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.Conn(geartest.Loop(geartest.Answer(func(p wire.Packet) []wire.Packet {
		if p.Type == wire.GrabJob {
			return nil
		}
		return []wire.Packet{geartest.Res(wire.Noop), geartest.Res(wire.EchoRes, string(p.Arg(0)))}
	}))))
	conn := dial(t, s)
	r := wire.NewReader(conn, wire.Response, 0)
	send(t, conn, geartest.Req(wire.GrabJob), geartest.Req(wire.EchoReq, "a"), geartest.Req(wire.EchoReq, "b"))
	for _, want := range []string{"a", "b"} {
		wantNext(t, r, geartest.Res(wire.Noop))
		wantNext(t, r, geartest.Res(wire.EchoRes, want))
	}
}

func TestResetIsSeen(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.Conn(geartest.Expect(wire.GrabJob), geartest.Reset()))
	conn := dial(t, s)
	send(t, conn, geartest.Req(wire.GrabJob))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read after a reset: %v, want an error that is not EOF", err)
	}
}

// TestDeviationsAreReported plays sides that do something else than the script
// says, each of which has to be noticed.
func TestDeviationsAreReported(t *testing.T) {
	t.Parallel()
	grab := geartest.Req(wire.GrabJob)
	for name, c := range map[string]struct {
		script []geartest.Step
		play   func(t *testing.T, conn net.Conn)
		want   []string
	}{
		"other packet": {
			[]geartest.Step{geartest.Expect(wire.CanDo, "a")},
			func(t *testing.T, conn net.Conn) { t.Helper(); send(t, conn, geartest.Req(wire.CanDo, "b")) },
			[]string{"connection 1", "step 1 of 1", `expect CAN_DO "a"`, `got REQ CAN_DO "b"`},
		},
		"other type, with a trace": {
			[]geartest.Step{geartest.Expect(wire.GrabJob), geartest.Send(wire.NoJob), geartest.Expect(wire.PreSleep)},
			func(t *testing.T, conn net.Conn) { t.Helper(); send(t, conn, grab, grab) },
			[]string{"step 3 of 3", "<- REQ GRAB_JOB", "-> RES NO_JOB", "got REQ GRAB_JOB"},
		},
		"not of the set": {
			[]geartest.Step{geartest.ExpectAnyOrder(geartest.Req(wire.CanDo, "a"), geartest.Req(wire.CanDo, "b"))},
			func(t *testing.T, conn net.Conn) {
				t.Helper()
				send(t, conn, geartest.Req(wire.CanDo, "b"), geartest.Req(wire.CanDo, "b"))
			},
			[]string{`still wanted CAN_DO "a"`},
		},
		"early close": {
			[]geartest.Step{geartest.Expect(wire.GrabJob)},
			func(_ *testing.T, conn net.Conn) { _ = conn.Close() },
			[]string{"closed the connection", "nothing went over"},
		},
		"close within a packet": {
			[]geartest.Step{geartest.ExpectClose()},
			func(t *testing.T, conn net.Conn) { t.Helper(); say(t, conn, "\x00RE"); _ = conn.Close() },
			[]string{"within a packet"},
		},
		"no close": {
			[]geartest.Step{geartest.ExpectClose()},
			func(t *testing.T, conn net.Conn) { t.Helper(); send(t, conn, grab) },
			[]string{"expect close", "got REQ GRAB_JOB"},
		},
		"no silence": {
			[]geartest.Step{geartest.ExpectSilence(nil)},
			func(t *testing.T, conn net.Conn) { t.Helper(); send(t, conn, grab) },
			[]string{"expect silence", "got REQ GRAB_JOB"},
		},
		"garbage": {
			[]geartest.Step{geartest.Expect(wire.GrabJob)},
			func(t *testing.T, conn net.Conn) { t.Helper(); say(t, conn, "GET / HTTP/1.1\r\n") },
			[]string{"malformed packet", "magic"},
		},
		"other line": {
			[]geartest.Step{geartest.ExpectLine("status")},
			func(t *testing.T, conn net.Conn) { t.Helper(); say(t, conn, "workers\r\n") },
			[]string{`got line "workers"`},
		},
		"other byte": {
			[]geartest.Step{geartest.ExpectBytes([]byte("ab"))},
			func(t *testing.T, conn net.Conn) { t.Helper(); say(t, conn, "ac") },
			[]string{"byte 1 is 0x63, want 0x62"},
		},
		"a check that fails": {
			[]geartest.Step{geartest.ExpectFunc(wire.GrabJob, func(wire.Packet) error { return errors.New("not so") })},
			func(t *testing.T, conn net.Conn) { t.Helper(); send(t, conn, grab) },
			[]string{"not so"},
		},
		"within a loop": {
			[]geartest.Step{geartest.Loop(geartest.Expect(wire.GrabJob))},
			func(t *testing.T, conn net.Conn) { t.Helper(); send(t, conn, grab, geartest.Req(wire.PreSleep)) },
			[]string{"step 1 of the loop", "got REQ PRE_SLEEP"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t)
			s := geartest.Start(rec, geartest.Conn(c.script...))
			conn := dial(t, s)
			c.play(t, conn)
			<-s.Done()
			got := rec.finish()
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("report lacks %q:\n%s", w, got)
				}
			}
		})
	}
}

func TestExpectInOneReadSeesTwo(t *testing.T) {
	t.Parallel()
	rec := record(t)
	grab := geartest.Req(wire.GrabJob)
	s := geartest.StartPipe(rec, geartest.Conn(geartest.ExpectInOneRead(grab, grab)))
	conn := dial(t, s)
	send(t, conn, grab) // a pipe keeps writes apart
	send(t, conn, grab)
	<-s.Done()
	if got := rec.finish(); !strings.Contains(got, "packet 2 of 2 was not in the first read") {
		t.Errorf("two writes passed for one: %s", got)
	}
}

func TestMissingAndSurplusConnections(t *testing.T) {
	t.Parallel()
	rec := record(t)
	s := geartest.Start(rec, geartest.Conn(geartest.Close()), geartest.Conn())
	dial(t, s)
	if got := rec.finish(); !strings.Contains(got, "1 connections came, 1 scripts were not begun") {
		// The first connection may not have been accepted before the end.
		if !strings.Contains(got, "2 scripts were not begun") {
			t.Errorf("a connection that never came passed: %q", got)
		}
	}
	rec = record(t)
	s = geartest.StartPipe(rec)
	if _, err := s.Dial(t.Context(), ""); err == nil {
		t.Error("a connection without script was accepted")
	}
	if got := rec.finish(); !strings.Contains(got, "no script for it") {
		t.Errorf("a surplus connection passed: %q", got)
	}
}

func TestSilenceAndTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quiet := make(chan struct{})
		rec := record(t)
		s := geartest.StartPipe(rec, geartest.Conn(
			geartest.ExpectSilence(quiet),
			geartest.Expect(wire.GrabJob),
		))
		conn := dial(t, s)
		time.Sleep(time.Hour)
		close(quiet)
		synctest.Wait()
		began := time.Now()
		<-s.Done()
		if took := time.Since(began); took != geartest.StepTimeout {
			t.Errorf("a step waited %v, want %v", took, geartest.StepTimeout)
		}
		if got := rec.finish(); !strings.Contains(got, "nothing came for 10s") {
			t.Errorf("a packet that never came passed: %q", got)
		}
		_ = conn.Close()
	})
}

func TestScriptErrorsAreReported(t *testing.T) {
	t.Parallel()
	for want, step := range map[string]geartest.Step{
		"2 arguments, want 3":     geartest.Send(wire.JobAssign, "H:1", "f"),
		"the packet has 12 bytes": geartest.SendPart(13, wire.NoJob),
	} {
		rec := record(t)
		s := geartest.StartPipe(rec, geartest.Conn(step))
		dial(t, s)
		<-s.Done()
		if got := rec.finish(); !strings.Contains(got, want) {
			t.Errorf("report %q lacks %q", got, want)
		}
	}
}
