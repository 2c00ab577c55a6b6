// Command operation is the plugin of the operation table: reverse, which is done
// in an instant, and linger, which waits for 2 ms before it does the same.
package main

import (
	"context"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
)

func main() {
	plugins.Serve(
		plugins.Func("reverse", reverse),
		plugins.Func("linger", linger),
	)
}

func reverse(_ context.Context, job *plugins.Job) ([]byte, error) {
	result := slices.Clone(job.Workload())
	slices.Reverse(result)
	return result, nil
}

// pause is how long linger waits, as linger.php does.
const pause = 2 * time.Millisecond

func linger(ctx context.Context, job *plugins.Job) ([]byte, error) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return reverse(ctx, job)
	}
}
