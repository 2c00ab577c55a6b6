// Command plugin is the smallest plugin there is. Tests build it, to see that a real one is recognised.
package main

import (
	"context"

	"github.com/gearman-manager/gearman-manager/plugins"
)

func main() {
	plugins.Serve(plugins.Func("echo", func(_ context.Context, job *plugins.Job) ([]byte, error) {
		return job.Workload(), nil
	}))
}
