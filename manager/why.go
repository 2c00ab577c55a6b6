package manager

import (
	"context"
	"fmt"
	"time"
)

// Why is what holds a function back.
type Why struct {
	Function string
	At       time.Time
	Pools    []string      // that perform it
	Reasons  []Reason      // the most important first; none: nothing holds it back
	Queues   []ServerQueue // in the order of the config
}

// Reason is one thing that holds a function back.
type Reason struct {
	Code    ReasonCode
	Message string // a sentence for people
	Blocks  bool   // none of its jobs is taken because of it
}

// ReasonCode names a reason for programs. It does not change.
type ReasonCode string

// ServerQueue is what a job server says of a function.
type ServerQueue struct {
	Server  string
	Queued  int // jobs that wait
	Running int // jobs that workers have, those of other machines too
	Workers int // connections that offer it, those of other machines too
	Err     error
}

// Why says what holds a function back. It asks the job servers, and blocks for no longer
// than they may take, which is two seconds. The error wraps ErrNoPool if nobody knows
// the function.
func (m *Manager) Why(_ context.Context, function string) (Why, error) {
	return Why{}, fmt.Errorf("explain %s: %w", function, ErrNoPool)
}
