package manager

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/exec"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(plugins.CookieKey) == plugins.CookieValue && len(os.Args) > 1 && os.Args[1] == ExecArg:
		serveExec()
	case os.Getenv(plugins.CookieKey) == plugins.CookieValue:
		servePlugin()
	case os.Getenv(daemonEnv) != "":
		os.Exit(runDaemon(os.Getenv(daemonEnv)))
	}
	goleak.VerifyTestMain(m)
}

// functionEnv names the only function of the test binary as a plugin, which waits.
const functionEnv = "TEST_FUNCTION"

// servePlugin makes the test binary a Go plugin.
func servePlugin() {
	if name := os.Getenv(functionEnv); name != "" {
		plugins.Serve(plugins.Version("v1"), plugins.Func(name, wait))
	}
	plugins.Serve(
		plugins.Version("v1"),
		plugins.Func("echo", func(_ context.Context, job *plugins.Job) ([]byte, error) { return job.Workload(), nil }),
		plugins.Func("pid", func(context.Context, *plugins.Job) ([]byte, error) { return []byte(strconv.Itoa(os.Getpid())), nil }),
		plugins.Func("wait", wait),
		plugins.Func("print", printThenWait),
		plugins.Func("stuck", func(context.Context, *plugins.Job) ([]byte, error) { select {} }),
		plugins.Func("fatal", func(context.Context, *plugins.Job) ([]byte, error) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}),
		plugins.Func("fatalonce", fatalOnce),
		plugins.Func("panic", func(context.Context, *plugins.Job) ([]byte, error) { panic("no luck") }),
	)
}

// wait takes as long as the workload says, and does not heed its context.
func wait(_ context.Context, job *plugins.Job) ([]byte, error) {
	d, err := time.ParseDuration(string(job.Workload()))
	if err != nil {
		return nil, err
	}
	<-time.After(d)
	return []byte("waited"), nil
}

// printThenWait writes a megabyte to standard output, waits and answers.
func printThenWait(ctx context.Context, job *plugins.Job) ([]byte, error) {
	line := strings.Repeat("x", 1023)
	for range 512 {
		_, _ = fmt.Println(line)
	}
	got, err := wait(ctx, job)
	for range 512 {
		_, _ = fmt.Println(line)
	}
	return got, err
}

// fatalOnce kills its process unless the file that the workload names exists.
func fatalOnce(_ context.Context, job *plugins.Job) ([]byte, error) {
	marker := string(job.Workload())
	if _, err := os.Stat(marker); err == nil {
		return []byte("second time"), nil
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return nil, err
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// serveExec makes the test binary a worker that starts executables.
func serveExec() {
	sup, err := supervisor.New(supervisor.Config{})
	if err != nil {
		panic(err)
	}
	plugins.Serve(
		plugins.Any(exec.New(sup, exec.Config{})),
		plugins.Close(func() error { return sup.Stop(context.Background()) }),
	)
}
