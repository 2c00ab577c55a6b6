package plugins_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/plugins"
)

// A worker is a program whose main hands its functions to Serve.
func ExampleServe() {
	main := func() {
		plugins.Serve(
			plugins.Version("1.0"),
			plugins.Func("reverse", func(_ context.Context, job *plugins.Job) ([]byte, error) {
				letters := []rune(string(job.Workload()))
				slices.Reverse(letters)
				return []byte(string(letters)), nil
			}),
		)
	}
	_ = main // Serve does not return, so it cannot run here
}

// countLines is a handler that heeds its context, reports progress and logs.
func countLines(ctx context.Context, job *plugins.Job) ([]byte, error) {
	lines := strings.Split(string(job.Workload()), "\n")
	for i := range lines {
		if ctx.Err() != nil { // over its timeout, or the worker has to stop
			return nil, context.Cause(ctx)
		}
		if err := job.Status(uint32(i+1), uint32(len(lines))); err != nil {
			return nil, err // nobody would get the result
		}
	}
	job.Logger().Info("lines counted", "lines", len(lines))
	return fmt.Append(nil, len(lines)), nil
}

// What a program needs once, before its first job, is prepared by Init, and
// undone by Close.
func ExampleInit() {
	var scratch string
	parts := []plugins.Part{
		plugins.Func("count-lines", countLines),
		plugins.Init(func(context.Context) (err error) {
			scratch, err = os.MkdirTemp("", "lines")
			return err
		}),
		plugins.Close(func() error { return os.RemoveAll(scratch) }),
	}
	fmt.Println(len(parts), "parts for plugins.Serve")
	// Output: 3 parts for plugins.Serve
}
