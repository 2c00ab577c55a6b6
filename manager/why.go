package manager

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
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

// The reasons, the most important first.
const (
	ReasonProblem     ReasonCode = "problem"      // with its program or section
	ReasonExcluded    ReasonCode = "excluded"     // by include or exclude
	ReasonNoProgram   ReasonCode = "no_program"   // job servers know it, and nobody performs it here
	ReasonRemoved     ReasonCode = "removed"      // it is not in the plan any more
	ReasonNotRun      ReasonCode = "not_run"      // workers of its kind cannot be run
	ReasonDrained     ReasonCode = "drained"      // by hand
	ReasonPaused      ReasonCode = "paused"       // by hand
	ReasonNoSlots     ReasonCode = "no_slots"     // 0 are planned, or were set by hand
	ReasonFailed      ReasonCode = "failed"       // the pool was given up
	ReasonBackoff     ReasonCode = "backoff"      // a start failed, and the next one is later
	ReasonStopped     ReasonCode = "stopped"      // a signal has stopped its workers
	ReasonStarting    ReasonCode = "starting"     // no worker is ready yet
	ReasonServersLost ReasonCode = "servers_lost" // all of them
	ReasonBusy        ReasonCode = "busy"         // all slots have a job
	ReasonServerLost  ReasonCode = "server_lost"  // some of them
	ReasonLimit       ReasonCode = "limit"        // jobs wait for a slot
	ReasonQuarantine  ReasonCode = "quarantine"   // jobs of it are not run again
	ReasonFault       ReasonCode = "fault"        // a change of the pool is not applied
	ReasonRolling     ReasonCode = "rolling"      // workers are being replaced
	ReasonUnknown     ReasonCode = "queue_unknown"
	ReasonNothing     ReasonCode = "nothing_queued"
)

// ServerQueue is what a job server says of a function.
type ServerQueue struct {
	Server  string
	Queued  int   // jobs that wait
	Running int   // jobs that workers have, those of other machines too
	Workers int   // connections that offer it, those of other machines too
	Err     error // it did not say
}

// askServers is how long job servers may take to say what is queued.
const askServers = 2 * time.Second

// Why says what holds a function back. It asks the job servers, and blocks for no longer
// than they may take, which is two seconds. The error wraps ErrNoPool if nobody knows
// the function.
func (m *Manager) Why(ctx context.Context, function string) (Why, error) {
	queues := askQueues(ctx, m.Snapshot().Servers, function)
	if err := ctx.Err(); err != nil {
		return Why{}, fmt.Errorf("explain %s: %w", function, context.Cause(ctx))
	}
	in := whyInput{function: function, fleet: m.Snapshot(), settings: m.now().settings, quarantine: m.Quarantine(), queues: queues}
	if !in.known() {
		return Why{}, fmt.Errorf("explain %s: %w%s", function, ErrNoPool, in.didYouMean())
	}
	return in.explain(), nil
}

// askQueues asks the job servers, all at a time.
func askQueues(ctx context.Context, servers []ServerStatus, function string) []ServerQueue {
	ctx, cancel := context.WithTimeout(ctx, askServers)
	defer cancel()
	queues := make([]ServerQueue, len(servers))
	var asking sync.WaitGroup
	for i, s := range servers {
		asking.Go(func() { queues[i] = askQueue(ctx, s.Address, function) })
	}
	asking.Wait()
	return queues
}

func askQueue(ctx context.Context, server, function string) ServerQueue {
	q := ServerQueue{Server: server}
	admin, err := gearclient.NewAdmin(gearclient.AdminConfig{Server: server})
	if err != nil {
		q.Err = err
		return q
	}
	defer func() { _ = admin.Close() }() // it was only asked
	list, err := admin.Status(ctx)
	q.Err = err
	for _, f := range list {
		if f.Function == function {
			q.Queued, q.Running, q.Workers = f.Total-f.Running, f.Running, f.Workers
		}
	}
	return q
}

// whyInput is all that an explanation is made of.
type whyInput struct {
	function   string
	fleet      Snapshot
	settings   *config.Config
	quarantine []QuarantinedJob
	queues     []ServerQueue
}

// explain finds the reasons.
func (in whyInput) explain() Why {
	w := Why{Function: in.function, At: in.fleet.At, Queues: in.queues}
	pools := in.pools()
	for _, p := range pools {
		w.Pools = append(w.Pools, p.Name)
	}
	if len(pools) == 0 {
		w.Reasons = in.whyNoPool()
	} else {
		w.Reasons = in.whyPools(pools)
	}
	// What blocks comes first, and otherwise the order is that of the codes.
	slices.SortStableFunc(w.Reasons, func(a, b Reason) int {
		switch {
		case a.Blocks == b.Blocks:
			return 0
		case a.Blocks:
			return -1
		default:
			return 1
		}
	})
	return w
}

// pools are those that perform the function; those that leave only if there are no
// others.
func (in whyInput) pools() []PoolStatus {
	var stay, leave []PoolStatus
	for _, p := range in.fleet.Pools {
		switch {
		case !slices.Contains(p.Functions, in.function):
		case p.Leaving:
			leave = append(leave, p)
		default:
			stay = append(stay, p)
		}
	}
	if len(stay) == 0 {
		return leave
	}
	return stay
}
