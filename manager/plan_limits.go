package manager

import (
	"syscall"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// dataHeadroom is by how much the private writable memory that a worker maps (VmData in /proc/PID/status), which the kernel's limit is about,
// may be over its resident memory, which max_memory_hard is about.
const dataHeadroom = 256 << 20

// limit sets when the workers of a pool are replaced, killed or given up, and what the kernel holds them to.
func (p *planner) limit(pool *PoolPlan, f config.Function) {
	pool.MaxLifetime, pool.RestartSplay = f.MaxLifetime(), f.RestartSplay()
	pool.MaxMemory, pool.MaxMemoryHard = f.MaxMemory(), f.MaxMemoryHard()
	pool.StartSeconds, pool.StartRetries = f.StartSeconds(), f.StartRetries()
	pool.Limits, pool.KeepGroup = limits(f), !f.KillGroup()
	if pool.Kind == KindStandalone {
		pool.StopSignal = stopSignal(f.StopSignal())
		return // its jobs are not known
	}
	pool.MaxRuns = f.MaxRuns()
}

// limits are what the kernel is told.
func limits(f config.Function) supervisor.Limits {
	l := supervisor.Limits{NoFile: uint64(f.RlimitNoFile()), Data: uint64(f.RlimitData()), Nice: f.Nice()}
	l.Core, l.SetCore = f.RlimitCore()
	if hard := f.MaxMemoryHard(); l.Data == 0 && hard > 0 {
		l.Data = uint64(hard) + dataHeadroom
	}
	return l
}

// stopSignal returns the signal of one of the key's choices.
func stopSignal(name string) syscall.Signal {
	switch name {
	case "INT":
		return syscall.SIGINT
	case "QUIT":
		return syscall.SIGQUIT
	case "HUP":
		return syscall.SIGHUP
	case "USR1":
		return syscall.SIGUSR1
	case "USR2":
		return syscall.SIGUSR2
	default:
		return syscall.SIGTERM
	}
}

// ownLimits are the keys that belong to a worker, so that they have no effect for a function that has none of its own.
func ownLimits() []string {
	return []string{
		"concurrency", "max_runs_per_worker", "max_worker_lifetime", "worker_restart_splay", "max_memory", "max_memory_hard",
		"start_seconds", "start_retries", "rlimit_nofile", "rlimit_data", "rlimit_core", "nice", "kill_group",
	}
}

// checkStandalone notes what only a program can do that is told its jobs by a worker of this project.
func (p *planner) checkStandalone(f config.Function) {
	for _, key := range []string{
		"timeout", "on_timeout", "on_crash", "job_attempts", "max_runs_per_worker", "concurrency", "priority",
	} {
		if f.IsOwn(key) {
			p.note(config.Warning, f.Origin(key), "the value has no effect: only a standalone program itself knows its jobs, want a setting of the program, or max_worker_lifetime or max_memory")
		}
	}
}

// checkKind notes keys in a function's section that are for another kind of worker.
func (p *planner) checkKind(f config.Function, kind Kind) {
	if kind == KindStandalone {
		p.checkStandalone(f)
	} else if f.IsOwn("stop_signal") {
		p.note(config.Warning, f.Origin("stop_signal"), "the value has no effect: a %s worker is not told by a signal, want stop_signal for a standalone program only", kind)
	}
}
