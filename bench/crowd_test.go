package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// countServer is a job server that only counts: each answer is the next of its
// numbers of workers, the last of them for ever.
func countServer(t *testing.T, counts ...int) *jobServer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			for questions := bufio.NewScanner(conn); questions.Scan(); {
				if _, err := fmt.Fprintf(conn, "other\t0\t0\t9\nreverse\t0\t0\t%d\n.\n", counts[0]); err != nil {
					break
				}
				counts = counts[min(1, len(counts)-1):]
			}
			_ = conn.Close()
		}
	})
	return &jobServer{host: "127.0.0.1", port: l.Addr().(*net.TCPAddr).Port}
}

// start starts a process to be killed or to stand for a manager.
func start(t *testing.T, argv ...string) *child {
	t.Helper()
	runtime.LockOSThread() // as startChild wants it; the test's goroutine ends with its thread
	c, err := startChild(t.Context(), t.TempDir(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(c.pid(), syscall.SIGKILL)
		<-c.done
	})
	return c
}

func TestReplace(t *testing.T) {
	t.Parallel()
	victim := start(t, "sleep", "1000")
	before, err := readStat(victim.pid())
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{contender: contender{job: reverseJob()}, server: countServer(t, 50, 50, 50, 49, 49, 50), children: []*child{start(t, "sleep", "1000")}}
	began := time.Now()
	took, err := f.replace(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	if took < 4*sharp || took > time.Since(began) {
		t.Errorf("took %v, want between five looks and %v", took, time.Since(began))
	}
	<-victim.done
	var status *exec.ExitError
	if !errors.As(victim.err, &status) || status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the worker ended with %v, want to see it killed", victim.err)
	}
	if _, err := f.replace(t.Context(), before); !errors.Is(err, errEnded) {
		t.Errorf("kill it again: %v, want %v", err, errEnded)
	}
}

// A fleet that does not get its worker back is told from one that never lost it,
// and from one whose manager is gone.
func TestReplaceFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		counts  []int
		manager string
		want    error
	}{
		"no successor": {[]int{50, 49}, "1000", errNoSuccessor},
		"not missed":   {[]int{50}, "1000", errNotMissed},
		"manager gone": {[]int{50, 49}, "0", errEnded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			victim, err := readStat(start(t, "sleep", "1000").pid())
			if err != nil {
				t.Fatal(err)
			}
			f := &fleet{contender: contender{job: reverseJob()}, server: countServer(t, tt.counts...), children: []*child{start(t, "sleep", tt.manager)}}
			ctx, cancel := context.WithTimeout(t.Context(), 2*missedLimit)
			defer cancel()
			if _, err := f.replace(ctx, victim); !errors.Is(err, tt.want) {
				t.Errorf("replace: %v, want %v", err, tt.want)
			}
		})
	}
}

// A successor that was there before anybody looked does not count, and there has
// to be enough of the others.
func TestKillSome(t *testing.T) {
	t.Parallel()
	counts := []int{}
	for range crowdKills {
		counts = append(counts, 50, 49, 50)
	}
	f := &fleet{contender: contender{job: reverseJob()}, server: countServer(t, append([]int{50, 50}, counts...)...), children: []*child{start(t, "sleep", "1000")}}
	for range crowdKills {
		victim, err := readStat(start(t, "sleep", "1000").pid())
		if err != nil {
			t.Fatal(err)
		}
		f.workers = append(f.workers, victim)
	}
	var noted []time.Duration
	note := func(_ stat, took time.Duration) error {
		noted = append(noted, took)
		return nil
	}
	if err := f.killSome(t.Context(), note); err != nil || len(noted) != crowdKills {
		t.Errorf("with as many workers as kills: %d noted, %v", len(noted), err)
	}
	victim, err := readStat(start(t, "sleep", "1000").pid())
	if err != nil {
		t.Fatal(err)
	}
	f.workers = []stat{victim} // the server says 50 from now on
	if err := f.killSome(t.Context(), note); !errors.Is(err, errNotMissed) || len(noted) != crowdKills {
		t.Errorf("with a worker that is never missed: %d noted, %v, want %v", len(noted), err, errNotMissed)
	}
}

// A fleet that does not come up says what its manager said.
func TestFleetDoesNotComeUp(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	tests := map[string]struct {
		script string
		want   []string
	}{
		"ends":  {"echo no php found; exit 1", []string{"start PHP: sh ended early", "exit status 1", "no php found"}},
		"hangs": {"echo worker failed; exec sleep 1000", []string{"start PHP: 0 of 3 workers registered", "worker failed"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runtime.LockOSThread()
			c := contender{name: "PHP", job: reverseJob(), managed: true, commands: func(*workshop, *jobServer, plan) ([][]string, error) {
				return [][]string{{"sh", "-c", tt.script}}, nil
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			f, err := startFleet(ctx, c, &workshop{dir: t.TempDir()}, countServer(t, 0), plan{workers: 3})
			if err == nil {
				t.Fatal(errors.Join(errors.New("the fleet came up"), f.stop(t.Context())))
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}
