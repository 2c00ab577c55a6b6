package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/manager"
)

// controlName is the name of the control socket in a manager's runtime directory.
const controlName = "control"

// openControl lets others talk to the manager. Without it the fleet runs as well, so
// that an error is only logged; the server is nil then.
func openControl(ctx context.Context, m *manager.Manager, cfg *config.Config, log zerolog.Logger) *control.Server {
	path := filepath.Join(m.Dir(), controlName)
	server, err := control.Open(ctx, control.Config{
		Path: path, Fleet: newRunningFleet(m, cfg), OnChange: func(peer control.Peer, request string, err error) {
			logChange(log, peer, request, err)
		},
	})
	if err != nil {
		log.Warn().Err(err).Str(logging.FieldDetail, "the fleet runs; status, quarantine and retry cannot reach it").Msg("control socket not opened")
		return nil
	}
	return server
}

// logChange logs who changes something, at every verbosity.
func logChange(log zerolog.Logger, peer control.Peer, request string, err error) {
	if log.GetLevel() > zerolog.InfoLevel && log.GetLevel() != zerolog.Disabled {
		log = log.Level(zerolog.InfoLevel)
	}
	level := zerolog.InfoLevel
	if err != nil {
		level = zerolog.WarnLevel
	}
	log.WithLevel(level).Err(err).Str(logging.FieldRequest, request).
		Int(logging.FieldUID, peer.UID).Int(logging.FieldPID, peer.PID).Msg("control request")
}

// runningFleet answers the control socket.
type runningFleet struct {
	manager *manager.Manager
	self    control.Manager
}

func newRunningFleet(m *manager.Manager, cfg *config.Config) *runningFleet {
	return &runningFleet{manager: m, self: control.Manager{
		PID: os.Getpid(), Version: Version(), Config: absolute(cfg.File()), Dir: m.Dir(), Started: time.Now(),
	}}
}

// absolute makes a path absolute that is not empty.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Manager says who it is.
func (f *runningFleet) Manager() control.Manager { return f.self }

// Status describes the fleet.
func (f *runningFleet) Status() control.Status {
	s := f.manager.Snapshot()
	out := control.Status{Manager: f.self, At: s.At, Servers: []control.JobServer{}, Pools: []control.Pool{}}
	for _, server := range s.Servers {
		out.Servers = append(out.Servers, control.JobServer{
			Address: server.Address, Slots: server.Slots, Lost: server.Lost, Error: server.Err,
		})
	}
	for _, p := range s.Pools {
		out.Pools = append(out.Pools, controlPool(p))
	}
	for _, job := range f.manager.Quarantine() {
		if job.Quarantined {
			out.Quarantined++
		} else {
			out.Suspects++
		}
	}
	return out
}

func controlPool(p manager.PoolStatus) control.Pool {
	out := control.Pool{
		Name: p.Name, Shared: p.Shared, Kind: string(p.Kind), Functions: append([]string{}, p.Functions...), Slots: p.Slots,
		Runs: p.Runs, JobsUnknown: p.JobsUnknown, Done: known(p.Done, p.JobsUnknown), Failed: known(p.Failed, p.JobsUnknown),
		Failures: p.Failures, NextTry: p.NextTry, GivenUp: p.GaveUp, Workers: []control.Worker{},
	}
	for _, w := range p.Workers {
		out.Workers = append(out.Workers, controlWorker(w, p.JobsUnknown))
	}
	return out
}

// known is a count, or nil if it is not known.
func known(n uint64, unknown bool) *uint64 {
	if unknown {
		return nil
	}
	return &n
}

func controlWorker(w manager.WorkerStatus, unknown bool) control.Worker {
	out := control.Worker{
		Name: w.Name, PID: w.PID, State: string(w.State), Slots: w.Slots, Ready: w.Ready, Servers: w.Servers, Since: w.Since,
		Stopped: w.Stopped, Done: known(w.Done, unknown), Failed: known(w.Failed, unknown), Restarts: w.Restarts, LastExit: w.LastExit, Retires: w.Retires, Jobs: []control.Job{},
	}
	for _, j := range w.Jobs {
		out.Jobs = append(out.Jobs, control.Job{
			Function: j.Function, Server: j.Server, Handle: j.Handle, Slot: j.Slot, ForMS: j.Since.Milliseconds(),
		})
	}
	return out
}

// Quarantine lists suspect jobs.
func (f *runningFleet) Quarantine() []control.SuspectJob {
	var out []control.SuspectJob
	for _, j := range f.manager.Quarantine() {
		out = append(out, control.SuspectJob{
			Server: j.Server, Function: j.Function, Handle: j.Handle, Unique: j.Unique, Attempts: j.Attempts,
			Quarantined: j.Quarantined, Cause: j.Cause, Worker: j.Worker, First: j.First, Last: j.Last,
		})
	}
	return out
}

// Release releases jobs.
func (f *runningFleet) Release(ctx context.Context, server, handle string) (int, error) {
	n, err := f.manager.ReleaseJob(ctx, server, handle)
	if _, missing := errors.AsType[*manager.NotSuspectError](err); missing {
		err = &control.NotFoundError{Err: err}
	}
	return n, err
}

// ReleaseAll releases all jobs.
func (f *runningFleet) ReleaseAll(ctx context.Context) int { return f.manager.ReleaseAllJobs(ctx) }

// Retry starts workers of a function now.
func (f *runningFleet) Retry(function string) error {
	err := f.manager.Retry(function)
	if errors.Is(err, manager.ErrNoPool) {
		err = &control.NotFoundError{Err: err}
	}
	return err
}
