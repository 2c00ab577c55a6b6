// Command edition is the plugin of the reload table. It answers with the edition
// that it was built as, after as many milliseconds as the workload says.
package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
)

// edition is set by the linker.
var edition = "none" //nolint:gochecknoglobals // the linker sets nothing else

func main() {
	plugins.Serve(plugins.Func("edition", answer))
}

func answer(ctx context.Context, job *plugins.Job) ([]byte, error) {
	ms, err := strconv.Atoi(string(job.Workload()))
	if err != nil {
		return nil, fmt.Errorf("read workload: %w", err)
	}
	if ms == 0 {
		return []byte(edition), nil
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return []byte(edition), nil
	}
}
