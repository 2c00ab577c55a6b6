package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// fakeServer is a job server whose jobs end at once. It tells how many jobs
// were in flight at most.
type fakeServer struct {
	conn net.Conn
	// answer makes the packet that ends a job.
	answer func(handle, workload []byte) (wire.Type, [][]byte)

	jobs, most int
	mu         sync.Mutex
	err        error
}

func reversed(handle, workload []byte) (wire.Type, [][]byte) {
	slices.Reverse(workload)
	return wire.WorkComplete, [][]byte{handle, workload}
}

// serve answers until the connection ends. Jobs end only when no more of them
// wait to be read, so that all in flight are there together.
func (s *fakeServer) serve() {
	packets := wire.NewReader(s.conn, wire.Request, 0)
	for {
		var out, ends []byte
		waiting := 0
		for first := true; first || packets.Buffered() > 0; first = false {
			p, err := packets.Next()
			if err != nil {
				return
			}
			s.jobs++
			waiting++
			handle := []byte("H:test:" + strconv.Itoa(s.jobs))
			out = wire.AppendUnchecked(out, wire.Response, wire.JobCreated, handle)
			kind, args := s.answer(handle, slices.Clone(p.Arg(2)))
			ends = wire.AppendUnchecked(ends, wire.Response, kind, args...)
		}
		s.mu.Lock()
		s.most = max(s.most, waiting)
		s.mu.Unlock()
		if _, s.err = s.conn.Write(append(out, ends...)); s.err != nil {
			return
		}
	}
}

// startLoad connects a load with a fake server.
func startLoad(t *testing.T, answer func(handle, workload []byte) (wire.Type, [][]byte)) (*load, *fakeServer) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{conn: conn, answer: answer}
	var served sync.WaitGroup
	served.Go(s.serve)
	t.Cleanup(func() {
		_, _ = client.Close(), conn.Close()
		served.Wait()
	})
	return newLoad(client, reverseJob()), s
}

func TestLoadKeepsJobsInFlight(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []int{1, 50} {
		t.Run(strconv.Itoa(inFlight), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l, s := startLoad(t, func(handle, workload []byte) (wire.Type, [][]byte) {
				if strings.HasSuffix(string(workload), ".1000") {
					cancel()
				}
				return reversed(handle, workload)
			})
			if err := l.run(ctx, inFlight); err != nil {
				t.Fatal(err)
			}
			if done := l.done.Load(); done < 1000 || done != l.next {
				t.Errorf("%d jobs done of %d submitted, want all, and at least 1000", done, l.next)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.most > inFlight {
				t.Errorf("%d jobs at a time, want %d", s.most, inFlight)
			}
			if inFlight > 1 && s.most < inFlight/2 {
				t.Errorf("never more than %d jobs at a time, want up to %d", s.most, inFlight)
			}
		})
	}
}

func TestLoadNoticesWrongAnswers(t *testing.T) {
	t.Parallel()
	l, _ := startLoad(t, func(handle, workload []byte) (wire.Type, [][]byte) {
		return wire.WorkComplete, [][]byte{handle, workload} // not reversed
	})
	if err := l.run(t.Context(), 5); !errors.Is(err, errWrongAnswer) {
		t.Errorf("run: %v, want %v", err, errWrongAnswer)
	}
}

func TestLoadNoticesFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]func(handle, workload []byte) (wire.Type, [][]byte){
		"a failed job": func(handle, _ []byte) (wire.Type, [][]byte) { return wire.WorkFail, [][]byte{handle} },
		"an answer to no job": func(_, workload []byte) (wire.Type, [][]byte) {
			return wire.WorkComplete, [][]byte{[]byte("H:other:1"), workload}
		},
		"one job too many": func([]byte, []byte) (wire.Type, [][]byte) {
			return wire.JobCreated, [][]byte{[]byte("H:other:1")}
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := startLoad(t, answer)
			if err := l.run(t.Context(), 1); err == nil {
				t.Error("run: no error")
			}
		})
	}
}

func TestFifo(t *testing.T) {
	t.Parallel()
	var q fifo
	if _, ok := q.pop(); ok {
		t.Error("an empty queue gave something")
	}
	next := uint64(0)
	for n := range uint64(1000) {
		q.push(n)
		if n%3 == 0 {
			continue // it grows
		}
		got, ok := q.pop()
		if !ok || got != next {
			t.Fatalf("pop: %d, %t, want %d", got, ok, next)
		}
		next++
	}
	if want := 1000 - int(next); q.len() != want {
		t.Errorf("%d items left, want %d", q.len(), want)
	}
}
