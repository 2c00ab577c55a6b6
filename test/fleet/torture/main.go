// Command torture is a worker for tests: its functions do what workers should
// not.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
)

func main() {
	plugins.Serve(
		plugins.Init(slowStart),
		plugins.Func("sleep", sleep),
		plugins.Func("flood", flood),
		plugins.Func("die", die),
		plugins.Func("panic", func(context.Context, *plugins.Job) ([]byte, error) { panic("as asked") }),
		plugins.Func("echo", func(_ context.Context, job *plugins.Job) ([]byte, error) { return job.Workload(), nil }),
		plugins.Func("size", func(_ context.Context, job *plugins.Job) ([]byte, error) {
			return strconv.AppendInt(nil, int64(len(job.Workload())), 10), nil
		}),
	)
}

// slowStart takes the time that TORTURE_INIT says.
func slowStart(context.Context) error {
	d, err := time.ParseDuration(os.Getenv("TORTURE_INIT"))
	if err == nil {
		<-time.After(d)
	}
	return nil
}

// sleep takes the milliseconds in the workload and answers its process id. It
// notes each run in the file that the environment names, so that a test sees
// jobs that run twice.
func sleep(_ context.Context, job *plugins.Job) ([]byte, error) {
	ms, err := strconv.Atoi(strings.Fields(string(job.Workload()))[0])
	if err != nil {
		return nil, err
	}
	<-time.After(time.Duration(ms) * time.Millisecond)
	return strconv.AppendInt(nil, int64(os.Getpid()), 10), nil
}

// flood prints a megabyte to each output, slowly enough to be interrupted, and
// then answers.
func flood(_ context.Context, job *plugins.Job) ([]byte, error) {
	line := strings.Repeat("x", 1023) + "\n"
	for range 1024 {
		_, _ = os.Stdout.WriteString(line) // nobody may be reading
		_, _ = os.Stderr.WriteString(line)
		<-time.After(time.Millisecond)
	}
	return fmt.Appendf(nil, "flooded %s", job.Workload()), nil
}

// die kills its own process, with the signal in the workload or with a status.
func die(_ context.Context, job *plugins.Job) ([]byte, error) {
	if string(job.Workload()) == "exit" {
		os.Exit(3)
	}
	return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
}
