package control_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
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

// untilEnd sends nothing until the context ends.
func untilEnd(ctx context.Context, _ control.EventsQuery, _ func(control.Event) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestEventsAreStreamed(t *testing.T) {
	t.Parallel()
	var asked []control.EventsQuery
	sent := []control.Event{
		{Seq: 7, At: time.Unix(5, 0).UTC(), Name: "worker_ready", Worker: "f/1", Level: "info", Message: "worker ready", Fields: map[string]json.RawMessage{"took_ms": json.RawMessage("3")}},
		{Seq: 9, Name: control.NameLagged, Missed: 2},
	}
	fleet := &fakeFleet{events: func(_ context.Context, q control.EventsQuery, send func(control.Event) error) error {
		asked = append(asked, q)
		for _, e := range sent {
			if err := send(e); err != nil {
				return err
			}
		}
		return nil
	}}
	r := open(t, fleet)
	var got []control.Event
	query := control.EventsQuery{Since: 6, Last: new(2), Function: "a b", Follow: true}
	err := r.client.Events(t.Context(), query, func(e control.Event) error {
		got = append(got, e)
		return nil
	})
	if diff := cmp.Diff(sent, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	broken := errors.New("broken pipe")
	if err := r.client.Events(t.Context(), control.EventsQuery{}, func(control.Event) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("whoever reads has an error: %v", err)
	}
	if diff := cmp.Diff([]control.EventsQuery{query, {}}, asked); diff != "" {
		t.Error(diff)
	}
	line := sent[0].LogLine()
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil || !bytes.HasSuffix(line, []byte("}\n")) {
		t.Errorf("%s: %v", line, err)
	}
	if diff := cmp.Diff(map[string]any{"time": "1970-01-01T00:00:05Z", "level": "info", "message": "worker ready", "took_ms": 3.0}, fields); diff != "" {
		t.Error(diff)
	}
}

func TestLogsAreStreamed(t *testing.T) {
	t.Parallel()
	sent := control.LogLine{Pool: "f", Worker: "f/1", PID: 7, Stream: control.StreamStderr, Text: "<oh>"}
	fleet := &fakeFleet{logs: func(_ context.Context, q control.LogsQuery, send func(control.LogLine) error) error {
		if q != (control.LogsQuery{Function: "f", Worker: "f/1", Follow: true}) {
			return &control.NotFoundError{Err: errors.New("no such worker")}
		}
		return send(sent)
	}}
	r := open(t, fleet)
	var got []control.LogLine
	each := func(l control.LogLine) error {
		got = append(got, l)
		return nil
	}
	err := r.client.Logs(t.Context(), control.LogsQuery{Function: "f", Worker: "f/1", Follow: true}, each)
	if diff := cmp.Diff([]control.LogLine{sent}, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	err = r.client.Logs(t.Context(), control.LogsQuery{Worker: "g/1"}, each)
	if e, ok := errors.AsType[*control.AnswerError](err); !ok || e.Status != http.StatusNotFound {
		t.Error(err)
	}
	if want := `{"message":"<oh>","pid":7,"pool":"f","stream":"stderr","worker":"f/1"}` + "\n"; string(sent.LogLine()) != want {
		t.Errorf("%s, want %s", sent.LogLine(), want)
	}
}

// TestStreamThatBreaks: whoever reads can tell the end from a break.
func TestStreamThatBreaks(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{events: func(_ context.Context, _ control.EventsQuery, send func(control.Event) error) error {
		return errors.Join(send(control.Event{Seq: 1}), errors.New("something broke"))
	}}
	r := open(t, fleet)
	n := 0
	err := r.client.Events(t.Context(), control.EventsQuery{}, func(control.Event) error {
		n++
		return nil
	})
	if n != 1 || err == nil || !strings.Contains(err.Error(), "its answer was cut off") {
		t.Errorf("%d events, %v", n, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	r.fleet.events = untilEnd
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	if err := r.client.Events(ctx, control.EventsQuery{}, func(control.Event) error { return nil }); !errors.Is(err, context.Canceled) && !errors.Is(err, why) {
		t.Errorf("one who has enough: %v", err)
	}
}

// TestManyStreams: so many may follow, the others are told, and status is answered all
// the time. A place is free again when one has gone.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, control.MaxStreams)
	fleet := &fakeFleet{events: func(ctx context.Context, q control.EventsQuery, send func(control.Event) error) error {
		begun <- struct{}{}
		if err := send(control.Event{}); err != nil {
			return err
		}
		return untilEnd(ctx, q, send)
	}}
	r := open(t, fleet)
	var held []net.Conn
	for range control.MaxStreams {
		conn := r.dial(t)
		if _, err := io.WriteString(conn, "GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
		<-begun
	}
	err := r.client.Events(t.Context(), control.EventsQuery{Follow: true}, func(control.Event) error { return nil })
	if e, ok := errors.AsType[*control.AnswerError](err); !ok || e.Status != http.StatusServiceUnavailable {
		t.Errorf("one more: %v", err)
	}
	var silent []net.Conn
	for range control.MaxConns {
		silent = append(silent, r.dial(t))
	}
	if _, err := r.client.Status(t.Context()); err != nil {
		t.Errorf("status: %v", err)
	}
	for _, conn := range append(slices.Clone(held[1:]), silent...) {
		_ = conn.Close()
	}
	eventually(t, "a place is free", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := errors.New("seen")
		return errors.Is(r.client.Events(ctx, control.EventsQuery{Follow: true}, func(control.Event) error { return ended }), ended)
	})
	// The first one was never disturbed.
	resp, err := http.ReadResponse(bufio.NewReader(held[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, `{"seq":0`) {
		t.Errorf("%q, %v", line, err)
	}
	_ = held[0].Close()
	_ = resp.Body.Close()
}

// TestStreamOutlivesTimeLimits: those of requests are not those of streams.
func TestStreamOutlivesTimeLimits(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{events: func(ctx context.Context, _ control.EventsQuery, send func(control.Event) error) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(6 * time.Second): // longer than a request may take to be read
			return send(control.Event{Seq: 1})
		}
	}}
	r := open(t, fleet)
	n := 0
	if err := r.client.Events(t.Context(), control.EventsQuery{Follow: true}, func(control.Event) error {
		n++
		return nil
	}); err != nil || n != 1 {
		t.Errorf("%d events, %v", n, err)
	}
}

// TestCloseEndsStreams: those whose reader reads, and those whose reader does not.
func TestCloseEndsStreams(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	var once sync.Once
	fleet := &fakeFleet{events: func(ctx context.Context, q control.EventsQuery, send func(control.Event) error) error {
		if q.Function == "" {
			return untilEnd(ctx, q, send)
		}
		for { // until the reader's buffer is full, and then for ever
			done := make(chan error, 1)
			go func() { done <- send(control.Event{Message: strings.Repeat("x", 100_000)}) }()
			select {
			case err := <-done:
				if err != nil {
					return err
				}
			case <-time.After(200 * time.Millisecond):
				once.Do(func() { close(stuck) })
				return <-done
			}
		}
	}}
	path := filepath.Join(t.TempDir(), "control")
	server, err := control.Open(t.Context(), control.Config{Path: path, Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{fleet: fleet, path: path}
	var held []net.Conn
	for _, query := range []string{"follow=1", "follow=1&function=f"} {
		conn := r.dial(t)
		held = append(held, conn)
		if _, err := io.WriteString(conn, "GET /v1/events?"+query+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-stuck:
	case <-time.After(testutil.Patience):
		t.Fatal("it is not stuck")
	}
	begun := time.Now()
	closeServer(t, server)
	if took := time.Since(begun); took > testutil.Patience/2 {
		t.Errorf("it took %v", took)
	}
	for _, conn := range held {
		_ = conn.Close()
	}
}

// eventually polls until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for deadline := time.Now().Add(testutil.Patience); !holds(); <-every.C {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about that " + what)
		}
	}
}
