package manager

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// The kernel's limit is about private writable memory that is mapped (VmData in /proc/PID/status), max_memory_hard about what is resident
// (VmRSS), and programs map more than they use. Measured on 2 processors with Go 1.26 and PHP 8.2, peak of the one less peak of the other:
//
//	php, idle or with a job of 200 MB                        -4 MB
//	plugin, idle: 7 threads                                 110 MB
//	executables' worker, idle: 11 threads                   141 MB
//	plugin, 200 to 500 MB in pieces of 1 KB                 121 MB
//	plugin, 10 pieces of up to 100 MB, replaced at random   221 MB, resident: 230 MB
//	plugin, 500 MB in one piece, several times              219 MB, resident: 1117 MB
//	plugin, 1000 MB in one piece, several times             744 MB, resident: 1389 MB
//
// A thread of a plugin that uses cgo (with package net, for one) maps a stack of 8 MB, and Go has one or two threads for each processor. A
// plugin that is refused a stack or heap by the kernel dies, so there is room: a limit that is too wide costs nothing, since the resident
// memory is watched too.
const (
	dataHeadroom = 256 << 20
	// dataProcessor is added for each processor.
	dataProcessor = 16 << 20
	// leastDataGo is what a worker in Go needs to start and to perform small jobs, with dataProcessor for each processor: on 2 of them a plugin
	// does not start with less than 112 MB, and the executables' worker maps 158 MB.
	leastDataGo = 128 << 20
	// leastGo and leastPHP are the memory of idle workers, 15 to 17 MB and, without what PHP workers share, 6 MB, and a little more.
	leastGo  = 20 << 20
	leastPHP = 8 << 20
)

// limit sets when the workers of a pool are replaced, killed or given up, and what the kernel holds them to.
func (p *planner) limit(pool *PoolPlan, f config.Function) {
	pool.MaxLifetime, pool.RestartSplay = f.MaxLifetime(), f.RestartSplay()
	pool.MaxMemory, pool.MaxMemoryHard = f.MaxMemory(), f.MaxMemoryHard()
	pool.StartSeconds, pool.StartRetries = f.StartSeconds(), f.StartRetries()
	pool.Limits, pool.KeepGroup = limits(f), !f.KillGroup()
	p.checkMemory(f, pool.Kind)
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
	if l.Data == 0 {
		l.Data = dataLimit(f.MaxMemoryHard())
	}
	return l
}

// dataLimit is what the kernel is told where only max_memory_hard is set, 0 for none.
func dataLimit(hard int64) uint64 {
	if hard <= 0 {
		return 0
	}
	return uint64(hard + hard/2 + dataHeadroom + int64(runtime.NumCPU())*dataProcessor)
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

// checkMemory notes limits that no worker of the kind can keep.
func (p *planner) checkMemory(f config.Function, kind Kind) {
	least := int64(0)
	switch kind {
	case KindPlugin, KindExec:
		least = leastGo
		need := leastDataGo + int64(runtime.NumCPU())*dataProcessor
		if data := f.RlimitData(); data > 0 && data < need {
			p.noteOnce(f.Origin("rlimit_data"), fmt.Sprintf("%s is less than a %s worker needs to start, which maps more than it uses, want %s or more", config.FormatSize(data), kind, config.FormatSize(need)))
		}
	case KindPHP:
		least = leastPHP
	case KindStandalone:
	}
	p.checkResident(f.Origin("max_memory"), f.MaxMemory(), least, kind)
	p.checkResident(f.Origin("max_memory_hard"), f.MaxMemoryHard(), least, kind)
}

// checkResident notes a limit that a worker is over before its first job.
func (p *planner) checkResident(origin config.Origin, limit, least int64, kind Kind) {
	if limit > 0 && limit < least {
		p.noteOnce(origin, fmt.Sprintf("%s is less than an idle %s worker has, want %s or more", config.FormatSize(limit), kind, config.FormatSize(least)))
	}
}

// noteOnce adds a warning about a value, which may hold for several pools.
func (p *planner) noteOnce(origin config.Origin, message string) {
	before := len(p.problems)
	p.note(config.Warning, origin, "%s", message)
	if slices.Contains(p.problems[:before], p.problems[before]) {
		p.problems = p.problems[:before]
	}
}

// ownLimits are the keys that belong to a worker, so that they have no effect for a function that has none of its own.
func ownLimits() []string {
	return []string{
		"concurrency", "max_runs_per_worker", "max_worker_lifetime", "worker_restart_splay", "max_memory", "max_memory_hard",
		"start_seconds", "start_retries", "rlimit_nofile", "rlimit_data", "rlimit_core", "nice", "kill_group", "reload_batch",
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
		p.note(config.Warning, f.Origin("stop_signal"), "the value has no effect: workers of kind %s are not told by a signal, want stop_signal for a standalone program only", kind)
	}
}
