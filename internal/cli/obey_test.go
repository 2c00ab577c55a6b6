package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

// TestObey: what each signal does, and what it does not do while the fleet stops.
func TestObey(t *testing.T) {
	t.Parallel()
	signals, over, done := make(chan os.Signal), make(chan struct{}), make(chan string)
	var log bytes.Buffer
	var obeying sync.WaitGroup
	obeying.Go(func() {
		obey(signals, over, zerolog.New(&log), obedience{
			stop:   func(s os.Signal) { done <- "stop by " + s.String() },
			hurry:  func() { done <- "hurry" },
			reopen: func(s string) { done <- "reopen by " + s },
			reload: func() { done <- "reload" },
		})
	})
	for _, step := range []struct {
		signal os.Signal
		want   string
	}{
		{syscall.SIGUSR1, "reopen by SIGUSR1"},
		{syscall.SIGHUP, "reopen by SIGHUP, reload"},
		{syscall.SIGTERM, "stop by terminated"},
		{syscall.SIGINT, "hurry"},
		{syscall.SIGHUP, "reopen by SIGHUP"},
		{syscall.SIGUSR1, "reopen by SIGUSR1"},
		{syscall.SIGTERM, "hurry"},
	} {
		signals <- step.signal
		for want := range strings.SplitSeq(step.want, ", ") {
			if got := <-done; got != want {
				t.Errorf("%v: %s, want %s", step.signal, got, want)
			}
		}
	}
	close(over)
	obeying.Wait()
	if n := strings.Count(log.String(), "signal ignored"); n != 1 {
		t.Errorf("%d lines say that a signal is ignored: %s", n, log.String())
	}
}

// aReloader counts reloads, each of which waits to be let go.
type aReloader struct {
	begun, end chan struct{}
	err        error
	requests   []manager.ReloadRequest
}

func (r *aReloader) Reload(_ context.Context, request manager.ReloadRequest) (manager.ReloadReport, error) {
	r.requests = append(r.requests, request)
	r.begun <- struct{}{}
	<-r.end
	return manager.ReloadReport{}, r.err
}

// TestReloadAsked: nothing is reloaded before the start, what is asked meanwhile is
// done once more, and an error ends nothing.
func TestReloadAsked(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	started, asked := make(chan struct{}), make(chan struct{}, 1)
	fleet := &aReloader{begun: make(chan struct{}), end: make(chan struct{}), err: errors.New("it went wrong")}
	var log bytes.Buffer
	var reloading sync.WaitGroup
	reloading.Go(func() { reloadAsked(ctx, started, asked, fleet, zerolog.New(&log).Level(zerolog.WarnLevel)) })
	offer(asked)
	offer(asked)
	close(started)
	<-fleet.begun
	for range 5 {
		offer(asked)
	}
	fleet.end <- struct{}{}
	<-fleet.begun
	fleet.end <- struct{}{}
	offer(asked)
	<-fleet.begun
	cancel()
	fleet.end <- struct{}{}
	reloading.Wait()
	want := manager.ReloadRequest{Config: true, Code: true, Roll: true}
	if len(fleet.requests) != 3 || fleet.requests[0] != want {
		t.Errorf("%v, want 3 of everything", fleet.requests)
	}
	if s := log.String(); strings.Count(s, "reload asked for") != 3 || strings.Count(s, "it went wrong") != 2 {
		t.Errorf("%s", s)
	}
}

// TestNoReloadWithoutStart: a fleet that never starts is not reloaded.
func TestNoReloadWithoutStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked := make(chan struct{}, 1)
	offer(asked)
	reloadAsked(ctx, nil, asked, nil, zerolog.Nop())
}

// TestReread: the config is read with the flags of the start, and what cannot change
// any more is told.
func TestReread(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a.ini")
	write := func(text string) {
		if err := os.WriteFile(file, []byte("[GearmanManager]\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("count = 1\n")
	s := &settings{file: file, values: []*settingValue{{key: config.Key{Name: "dedicated_count", Flag: "D"}, text: "7", set: true}}}
	cfg, problems := config.Load(file, s.overrides())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := &rereading{settings: s, std: &streams{}, running: cfg}
	write("count = 3\nlog_file = /tmp/x.log\npid_file = /tmp/x.pid\n")
	again, problems := r.load(t.Context())
	if again == nil || again.Count() != 3 || again.DedicatedCount() != 7 || len(problems) != 2 || config.HasErrors(problems) || problems[0].Line != 3 {
		t.Errorf("%v, %v", again, problems)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if again, problems := r.load(t.Context()); again != nil || !config.HasErrors(problems) {
		t.Errorf("a file that is gone: %v, %v", again, problems)
	}
}
