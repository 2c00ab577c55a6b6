// Command reverse is a worker in Go with two functions: reverse, which is
// done in an instant, and countdown, which takes its time and says how far it
// is.
package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
)

func main() {
	plugins.Serve(
		plugins.Version("1.0"),
		plugins.Func("reverse", reverse),
		plugins.Func("countdown", countdown),
	)
}

// reverse answers with the text backwards, letter by letter.
func reverse(_ context.Context, job *plugins.Job) ([]byte, error) {
	letters := []rune(string(job.Workload()))
	slices.Reverse(letters)
	return []byte(string(letters)), nil
}

// step is what countdown takes for each number.
const step = 100 * time.Millisecond

// countdown counts from the number in the workload to zero and reports each
// step.
func countdown(ctx context.Context, job *plugins.Job) ([]byte, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(string(job.Workload())), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("countdown: the workload %q is not a number up to 65535", job.Workload())
	}
	job.Logger().Info("countdown begins", "from", n)
	for i := range uint32(n) {
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := job.Status(i+1, uint32(n)); err != nil {
			return nil, err
		}
	}
	return []byte("lift-off"), nil
}
