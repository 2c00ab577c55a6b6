package php_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// bundle is a host with its supervisor and directory. There is one supervisor in a
// process, so the tests that need one run one after the other.
type bundle struct {
	host    *php.Host
	gen     *php.Generation
	sup     *supervisor.Supervisor
	dir     string
	path    string
	printed *lines // by parents
}

// lines keeps what is printed.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(stream, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, stream+": "+line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

func setup(t *testing.T, path string, change func(*php.Config)) *bundle {
	t.Helper()
	sup, err := supervisor.New(supervisor.Config{Subreaper: true})
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{sup: sup, dir: t.TempDir(), path: path, printed: &lines{}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
		defer cancel()
		if err := sup.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	cfg := php.Config{Supervisor: sup, Dir: b.dir, Path: path, Env: []string{"PATH=/usr/bin:/bin"}, Output: b.printed.add}
	if change != nil {
		change(&cfg)
	}
	if b.host, err = php.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.close(t) })
	b.gen = b.host.Generation()
	return b
}

// close checks that nothing is left.
func (b *bundle) close(t *testing.T) {
	t.Helper()
	if err := b.host.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(b.dir); err != nil || len(left) > 0 {
		t.Errorf("left in the runtime directory: %v, %v", left, err)
	}
	for _, p := range b.sup.Processes() {
		t.Errorf("left: %s (pid %d)", p.Name(), p.PID())
	}
}

// setupPeer is a host of processes that behave as the modes say.
func setupPeer(t *testing.T, parent, worker string, change func(*php.Config)) *bundle {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(t.TempDir(), "marker")
	return setup(t, self, func(cfg *php.Config) {
		cfg.Env = append(cfg.Env, parentMode+"="+parent, workerMode+"="+worker, markerFile+"="+marker, "GORACE=atexit_sleep_ms=0")
		if change != nil {
			change(cfg)
		}
	})
}

// setupPHP is a host of php. Without forks each worker is a php of its own.
func setupPHP(t *testing.T, forks bool, change func(*php.Config)) *bundle {
	t.Helper()
	return setup(t, testutil.Need(t, "php", "php-cli"), func(cfg *php.Config) {
		if !forks {
			cfg.Args = []string{"-d", "disable_functions=pcntl_fork"}
		}
		if change != nil {
			change(cfg)
		}
	})
}

// ways are php that forks and php that does not.
func ways() map[string]bool { return map[string]bool{"forked": true, "on its own": false} }

// workerFile writes the file of a function.
func workerFile(t *testing.T, dir, function, code string) php.File {
	t.Helper()
	path := filepath.Join(dir, function+".php")
	if err := os.WriteFile(path, []byte("<?php\n"+code+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return php.File{Function: function, Path: path, Symbol: function}
}

// launch is a worker of those files.
func launch(files ...php.File) host.Launch {
	req := &workerpb.RunRequest{Contract: 1, Worker: "reverse/3", Slots: []*workerpb.Slot{{ClientId: "web1/reverse/3"}}}
	for _, f := range files {
		req.Functions = append(req.Functions, &workerpb.Function{
			Name: f.Function, Source: &workerpb.Source{File: f.Path, Symbol: f.Symbol, Pear: f.Pear},
		})
	}
	return host.Launch{Name: "reverse/3", Request: func() *workerpb.RunRequest { return req }}
}

func (b *bundle) start(t *testing.T, launch host.Launch) *php.Worker {
	t.Helper()
	w, err := b.gen.Start(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the host is closed
		_ = w.Kill()
		for range w.Events() {
		}
		testutil.Receive(t, "the end of the worker", w.Done())
	})
	return w
}

// finish reads the events to their end, and waits for that of the process.
func finish(t *testing.T, w *php.Worker) []*workerpb.Event {
	t.Helper()
	var events []*workerpb.Event
	late := time.After(testutil.Patience)
	for {
		select {
		case ev, ok := <-w.Events():
			if !ok {
				testutil.Receive(t, "the end of the worker", w.Done())
				return events
			}
			events = append(events, ev)
		case <-late:
			t.Fatal("the events do not end")
		}
	}
}

// checkError looks for an error of a type, and for a text.
func checkError[T error](t *testing.T, err error, text string) {
	t.Helper()
	if as, ok := errors.AsType[T](err); !ok {
		t.Errorf("got %T %v, want %T", err, err, as)
	} else if !strings.Contains(err.Error(), text) {
		t.Errorf("got  %v\nwant %s", err, text)
	}
}
