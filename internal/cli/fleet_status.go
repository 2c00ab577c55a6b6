package cli

import (
	"fmt"
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/manager"
)

// Status describes the fleet, or the pools of a function.
func (f *runningFleet) Status(q control.StatusQuery) (control.Status, error) {
	s := f.snapshot(q.Memory)
	out := control.Status{
		Manager: f.self, At: s.At, Servers: []control.JobServer{}, Pools: []control.Pool{},
		Reload: control.Reload{At: s.Reload.At, Problems: controlProblems(s.Reload.Problems), Refused: s.Reload.Refused, Polling: s.Reload.Polling},
	}
	for _, server := range s.Servers {
		out.Servers = append(out.Servers, control.JobServer{
			Address: server.Address, Slots: server.Slots, Lost: server.Lost, Error: server.Err,
		})
	}
	for _, p := range s.Pools {
		if q.Function == "" || p.Name == q.Function || slices.Contains(p.Functions, q.Function) {
			out.Pools = append(out.Pools, controlPool(p))
		}
	}
	if q.Function != "" && len(out.Pools) == 0 {
		return out, f.answered(fmt.Errorf("show %s: %w", q.Function, manager.ErrNoPool), q.Function)
	}
	for _, job := range f.manager.Quarantine() {
		switch {
		case q.Function != "" && job.Function != q.Function:
		case job.Quarantined:
			out.Quarantined++
		default:
			out.Suspects++
		}
	}
	return out, nil
}

func (f *runningFleet) snapshot(memory bool) manager.Snapshot {
	if memory {
		return f.manager.SnapshotWithMemory()
	}
	return f.manager.Snapshot()
}

func controlProblems(problems []config.Problem) []control.Problem {
	out := []control.Problem{}
	for _, p := range problems {
		out = append(out, control.Problem{
			File: p.File, Line: p.Line, Section: p.Section, Key: p.Key, Severity: string(p.Severity), Message: p.Message, Flag: p.Flag,
		})
	}
	return out
}

func controlPool(p manager.PoolStatus) control.Pool {
	out := control.Pool{
		Name: p.Name, Shared: p.Shared, Kind: string(p.Kind), Functions: append([]string{}, p.Functions...), Slots: p.Slots,
		Origin: p.Origin, Scaled: p.Scaled, Program: p.Program, Version: p.Version, Hash: p.Hash,
		Paused: append([]string{}, p.Paused...), Drained: append([]string{}, p.Drained...), Outdated: p.Outdated, Fault: p.Fault, Leaving: p.Leaving,
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
		Stopped: w.Stopped, Done: known(w.Done, unknown), Failed: known(w.Failed, unknown), Restarts: w.Restarts, LastExit: w.LastExit,
		Retires: w.Retires, Version: w.Version, Hash: w.Hash, Outdated: w.Outdated, Jobs: []control.Job{},
	}
	if w.RSS > 0 {
		out.RSSBytes = &w.RSS
	}
	for _, j := range w.Jobs {
		out.Jobs = append(out.Jobs, control.Job{
			Function: j.Function, Server: j.Server, Handle: j.Handle, Slot: j.Slot, ForMS: j.Since.Milliseconds(),
		})
	}
	return out
}
