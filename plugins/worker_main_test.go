package plugins_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// The test binary is a worker, or a manager of one, if these are set.
const (
	workerMode  = "PLUGINS_TEST_WORKER"
	managerMode = "PLUGINS_TEST_MANAGER" // the address of a job server
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(workerMode) != "":
		playWorker(os.Getenv(workerMode))
	case os.Getenv(managerMode) != "":
		os.Exit(playManager(os.Getenv(managerMode)))
	}
	goleak.VerifyTestMain(m)
}

// playWorker is a plugin.
func playWorker(mode string) {
	parts := []plugins.Part{
		plugins.Version("v1.2"),
		plugins.Func("echo", func(_ context.Context, job *plugins.Job) ([]byte, error) { return job.Workload(), nil }),
		plugins.Func("wait", waitForFile),
		plugins.Func("stuck", func(ctx context.Context, job *plugins.Job) ([]byte, error) {
			return waitForFile(context.WithoutCancel(ctx), job)
		}),
		plugins.Func("error", func(context.Context, *plugins.Job) ([]byte, error) { return nil, errors.New("no such image") }),
		plugins.Func("panic", func(context.Context, *plugins.Job) ([]byte, error) { panic("broken") }),
		plugins.Func("crash", func(context.Context, *plugins.Job) ([]byte, error) {
			return nil, &plugins.CrashError{Cause: "killed by SIGSEGV"}
		}),
		plugins.Func("print", printMuch),
		plugins.Func("news", tellNews),
		plugins.Func("surroundings", surroundings),
		plugins.Close(func() error { return errors.New("could not say goodbye") }),
	}
	switch mode {
	case "init fails":
		parts = append(parts, plugins.Init(func(context.Context) error { return errors.New("no database") }))
	case "init hangs":
		parts = append(parts, plugins.Init(func(context.Context) error { select {} }))
	case "twice":
		parts = append(parts, plugins.Func("echo", waitForFile))
	case "nothing":
		parts = nil
	}
	plugins.Serve(parts...)
}

// waitForFile tells that it has begun, and returns the content of the file that
// the workload names as soon as there is one.
func waitForFile(ctx context.Context, job *plugins.Job) ([]byte, error) {
	path := string(job.Workload())
	clear(job.Workload()) // handlers may
	if err := job.Status(1, 2); err != nil {
		return nil, err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(path); err == nil {
			return b, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// printMuch prints a megabyte to each output, then waits for its file and
// prints as much again.
func printMuch(ctx context.Context, job *plugins.Job) ([]byte, error) {
	line := bytes.Repeat([]byte("x"), 99)
	much := bytes.Repeat(append(line, '\n'), 10<<10)
	_, _ = os.Stdout.Write(much)
	_, _ = os.Stderr.Write(much)
	b, err := waitForFile(ctx, job)
	_, _ = os.Stdout.Write(much) // into nothing, if the manager is gone
	_, _ = os.Stderr.Write(much)
	return b, err
}

func tellNews(_ context.Context, job *plugins.Job) ([]byte, error) {
	job.Logger().Info("hello", "size", len(job.Workload()))
	fmt.Println("on standard output")
	fmt.Fprintln(os.Stderr, "on standard error")
	err := errors.Join(job.Data([]byte("part")), job.Status(1, 3), job.Warning([]byte("careful")))
	return []byte(job.Function() + " " + job.Handle() + " " + job.Unique()), err
}

// surroundings tells what a handler finds.
func surroundings(_ context.Context, job *plugins.Job) ([]byte, error) {
	input, err := io.ReadAll(os.Stdin)
	link, _ := os.Readlink("/proc/self/fd/0")
	return fmt.Appendf(nil, "%q %v %s %s %d", input, err, link, os.Getenv(plugins.WorkerEnv), job.MaxResult()), nil
}

// playManager starts a worker, says its process id, and does no more: it is
// there to be killed.
func playManager(server string) int {
	fail := func(err error) int {
		fmt.Println(err)
		return 1
	}
	dir, err := os.MkdirTemp("", "manager")
	if err != nil {
		return fail(err)
	}
	sup, err := supervisor.New(supervisor.Config{})
	if err != nil {
		return fail(err)
	}
	h, err := host.New(host.Config{Supervisor: sup, Dir: dir})
	if err != nil {
		return fail(err)
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	mode := os.Getenv("PLUGINS_TEST_MANAGED")
	w, err := h.Start(context.Background(), host.Launch{
		Name: "resize/3", Path: self, Env: workerEnv(mode),
		Request: func() *workerpb.RunRequest { return request(server) },
		Started: func(p *supervisor.Process) { fmt.Println(p.PID(), dir) },
	})
	if err != nil {
		return fail(err)
	}
	for range w.Events() {
	}
	return 0
}

func workerEnv(mode string) []string {
	return []string{workerMode + "=" + mode, "GORACE=atexit_sleep_ms=0"}
}

// request is one slot with all functions.
func request(server string) *workerpb.RunRequest {
	req := &workerpb.RunRequest{
		Contract: plugins.ContractVersion, Worker: "resize/3",
		Servers: []*workerpb.Server{{Address: server, Index: 4}},
		Slots:   []*workerpb.Slot{{ClientId: "web1/resize/3", Record: 1}},
		Limits:  &workerpb.Limits{},
	}
	for i, name := range []string{"echo", "wait", "stuck", "error", "panic", "crash", "print", "news", "surroundings"} {
		req.Functions = append(req.Functions, &workerpb.Function{Name: name, Index: uint32(10 + i)})
	}
	return req
}

// firstLine reads a line of a process.
func firstLine(t *testing.T, r io.Reader) string {
	t.Helper()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: %q, %v", line, err)
	}
	return strings.TrimSpace(line)
}
