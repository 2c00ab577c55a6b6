package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// These tests run the worker as the manager does, against Debian's gearmand.

// logged is what the worker's jobs have logged.
type logged struct {
	mu     sync.Mutex
	events []*workerpb.Event
}

func (l *logged) add(e *workerpb.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *logged) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if strings.Contains(e.String(), text) {
			return true
		}
	}
	return false
}

// maxData is the limit of the workers here. It is larger than the default, which
// has to give way.
const maxData = 65 << 20

// startWorker starts the test binary as an exec worker of those functions.
func startWorker(t *testing.T, addr string, slots int, functions ...*workerpb.Function) (*host.Worker, *logged) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gm") //nolint:usetesting // the paths of t.TempDir leave no room for a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h, err := host.New(host.Config{Supervisor: shared, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	req := &workerpb.RunRequest{
		Contract: plugins.ContractVersion, Worker: "exec/1",
		Servers: []*workerpb.Server{{Address: addr}}, Functions: functions,
		Limits: &workerpb.Limits{MaxData: maxData},
	}
	for i := range slots {
		req.Slots = append(req.Slots, &workerpb.Slot{Record: uint32(i)})
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w, err := h.Start(t.Context(), host.Launch{
		Name: "exec/1", Path: exe, Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0"),
		Request: func() *workerpb.RunRequest { return req },
	})
	if err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	var events sync.WaitGroup
	events.Go(func() {
		for e := range w.Events() {
			log.add(e)
		}
	})
	t.Cleanup(func() { _ = w.Kill(); <-w.Done(); events.Wait() })
	return w, log
}

func function(name string, command ...string) *workerpb.Function {
	return &workerpb.Function{Name: name, Command: command}
}

func TestWorkerOnAJobServer(t *testing.T) {
	t.Parallel()
	addr := testutil.StartGearmand(t).Addr()
	marker := filepath.Join(t.TempDir(), "crashed")
	limited := function("limited", "sleep", "300")
	limited.TimeoutMs = 200
	latin := function("latin", "sh", "-c", `printf 'caf\351\n' >&2; test -e "$0" && exit 3; : >"$0"; kill -SEGV $$`, marker+"2")
	_, log := startWorker(t, addr, 2,
		function("wc", "wc", "-l"),
		function("bad", "sh", "-c", "echo not today >&2; exit 3"),
		function("progress", "sh", "-c", `echo 3/10 >&3; echo "log line" >&2; echo $GEARMAN_FUNCTION`),
		function("crash", "sh", "-c", `test -e "$0" && echo second time && exit; : >"$0"; kill -SEGV $$`, marker),
		function("missing", "/nonexistent/program"), limited, latin,
		function("large", "yes"), function("huge", "head", "-c", strconv.Itoa(maxData), "/dev/zero"),
	)
	client := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{addr}, MaxData: maxData})
	do := func(name string) (string, error) {
		got, err := client.Do(t.Context(), gearclient.Request{Function: name, Workload: []byte("a\nb\n")})
		return strings.TrimSpace(string(got)), err
	}
	if got, err := do("wc"); got != "2" || err != nil {
		t.Errorf("wc: %q, %v", got, err)
	}
	if got, err := do("crash"); got != "second time" || err != nil {
		t.Errorf("a crash is not run again: %q, %v", got, err)
	}
	for name, want := range map[string]string{
		"bad":     "exited with status 3: not today",
		"missing": "start /nonexistent/program: no such file",
		"large":   fmt.Sprintf("the limit is %d", maxData),
		"latin":   "exited with status 3: caf\xe9",
		"limited": "timed out after 200ms",
	} {
		_, err := do(name)
		var exception *gearclient.ExceptionError
		if !errors.As(err, &exception) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if got, err := do("huge"); len(got) != maxData || err != nil {
		t.Errorf("huge: %d bytes, %v", len(got), err)
	}
	var updates []string
	got, err := client.Do(t.Context(), gearclient.Request{
		Function: "progress", OnUpdate: func(u gearclient.Update) { updates = append(updates, fmt.Sprint(u)) },
	})
	if strings.TrimSpace(string(got)) != "progress" || err != nil || len(updates) != 1 || !strings.Contains(updates[0], "3 10") {
		t.Errorf("progress: %q, %v, updates %q", got, err, updates)
	}
	for _, line := range []string{"log line", "caf\uFFFD"} {
		testutil.WaitFor(t, "the line is logged", func() bool { return log.contains(line) })
	}
	if log.contains("retiring:") {
		t.Error("the worker retires")
	}
}

// Whatever kills the worker takes its executables along, with all that they have
// started, and their jobs are run by the next worker.
func TestWorkerIsKilledInAJob(t *testing.T) {
	t.Parallel()
	addr := testutil.StartGearmand(t).Addr()
	dir := t.TempDir()
	slow := function("slow", "sh", "-c", `
		test -e "$0/pids" && echo by the second && exit
		sleep 300 & echo $$ $! >"$0/new"; mv "$0/new" "$0/pids"; wait`, dir)
	first, _ := startWorker(t, addr, 1, slow)
	client := jobtest.NewClient(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	task, err := client.Submit(ctx, gearclient.Request{Function: "slow"})
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	testutil.WaitFor(t, "the job runs", func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "pids"))
		pids = strings.Fields(string(data))
		return err == nil
	})
	if err := first.Process().Signal(9); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	startWorker(t, addr, 1, slow)
	got, err := task.Wait(ctx)
	if err != nil || string(got) != "by the second\n" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		testutil.WaitFor(t, "process "+text+" is gone", func() bool {
			_, err := supervisor.StartTimeOf(pid)
			return errors.Is(err, os.ErrNotExist)
		})
	}
	if len(pids) != 2 {
		t.Errorf("pids: %v", pids)
	}
}
