package manager

import (
	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/config"
)

// CheckReport is the plan and the problems for programs, as JSON. Times are in seconds. Lists are never null.
type CheckReport struct {
	Pools    []PoolReport     `json:"pools"`
	Problems []config.Problem `json:"problems"`
	// Migration is what is different from GearmanManager, where that is asked for.
	Migration []config.Note `json:"migration"`
}

// PoolReport is one pool of a [CheckReport].
type PoolReport struct {
	Name   string `json:"name"`
	Shared bool   `json:"shared"`
	// Functions are the names in order of registration.
	Functions []string `json:"functions"`
	// Program is the path of the program, empty for a shared pool of several files.
	Program string `json:"program"`
	Kind    Kind   `json:"kind"`
	// Workers is what job servers see: slots. Processes is how many processes they are in.
	Workers     int `json:"workers"`
	Processes   int `json:"processes"`
	Concurrency int `json:"concurrency"`
	// Timeout is that of a dedicated pool's function, or the global one for a shared pool, whose functions may differ; see Jobs.
	Timeout           float64 `json:"timeout"`
	MaxRunsPerWorker  int     `json:"max_runs_per_worker"`
	MaxWorkerLifetime float64 `json:"max_worker_lifetime"`
	RestartSplay      float64 `json:"worker_restart_splay"`
	// MaxMemory and MaxMemoryHard are in bytes; 0 is no limit.
	MaxMemory     int64   `json:"max_memory"`
	MaxMemoryHard int64   `json:"max_memory_hard"`
	StartSeconds  float64 `json:"start_seconds"`
	StartRetries  int     `json:"start_retries"`
	// RlimitNoFile and RlimitData are 0 where they are left as they are. RlimitData is what the kernel is told, which max_memory_hard
	// decides where the key is not set.
	RlimitNoFile uint64 `json:"rlimit_nofile"`
	RlimitData   uint64 `json:"rlimit_data"`
	// RlimitCore is null where it is left as it is, and -1 without limit.
	RlimitCore *int64 `json:"rlimit_core"`
	Nice       int    `json:"nice"`
	KillGroup  bool   `json:"kill_group"`
	// ReloadBatch is how many workers are replaced at a time when code is reloaded.
	ReloadBatch int `json:"reload_batch"`
	// StopSignal is the name of a signal, such as SIGTERM, for a standalone pool.
	StopSignal string `json:"stop_signal,omitempty"`
	// Origin says where the number of workers came from.
	Origin string `json:"origin"`
	// Jobs holds what belongs to each function, in order of registration.
	Jobs []FunctionReport `json:"jobs"`
}

// FunctionReport is one function of a [PoolReport].
type FunctionReport struct {
	Function    string   `json:"function"`
	Program     string   `json:"program"`
	Command     []string `json:"command,omitempty"`
	Priority    int      `json:"priority"`
	Timeout     float64  `json:"timeout"`
	OnTimeout   string   `json:"on_timeout"`
	OnCrash     string   `json:"on_crash"`
	JobAttempts int      `json:"job_attempts"`
	Grace       float64  `json:"graceful_shutdown_wait_time"`
	// Slow is how long a job may take before it is logged as slow, 0 for never.
	Slow float64 `json:"slow"`
}

// NewCheckReport makes the report of a plan with the problems of config, scan and plan. A nil plan is one without pools.
func NewCheckReport(cfg *config.Config, plan *Plan, problems []config.Problem) CheckReport {
	report := CheckReport{Pools: []PoolReport{}, Problems: []config.Problem{}, Migration: []config.Note{}}
	report.Problems = append(report.Problems, problems...)
	if plan == nil {
		return report
	}
	for _, pool := range plan.Pools {
		report.Pools = append(report.Pools, newPoolReport(cfg, pool))
	}
	return report
}

// newPoolReport reports one pool.
func newPoolReport(cfg *config.Config, pool PoolPlan) PoolReport {
	r := PoolReport{
		Name: pool.Name, Shared: pool.Shared, Functions: []string{}, Program: pool.Program, Kind: pool.Kind,
		Workers: pool.Slots, Processes: pool.Workers, Concurrency: pool.Concurrency,
		MaxRunsPerWorker: pool.MaxRuns, MaxWorkerLifetime: pool.MaxLifetime.Seconds(), RestartSplay: pool.RestartSplay.Seconds(),
		MaxMemory: pool.MaxMemory, MaxMemoryHard: pool.MaxMemoryHard,
		StartSeconds: pool.StartSeconds.Seconds(), StartRetries: pool.StartRetries,
		RlimitNoFile: pool.Limits.NoFile, RlimitData: pool.Limits.Data, Nice: pool.Limits.Nice, KillGroup: !pool.KeepGroup, ReloadBatch: pool.ReloadBatch,
		Origin: pool.Origin, Jobs: []FunctionReport{},
	}
	if pool.Limits.SetCore {
		r.RlimitCore = new(int64(pool.Limits.Core)) //nolint:gosec // -1 is unlimited
	}
	if pool.StopSignal != 0 {
		r.StopSignal = unix.SignalName(pool.StopSignal)
	}
	for _, f := range pool.Functions {
		r.Functions = append(r.Functions, f.Name)
		r.Jobs = append(r.Jobs, FunctionReport{
			Function: f.Name, Program: f.Program, Command: f.Command, Priority: f.Priority, Timeout: f.Timeout.Seconds(),
			OnTimeout: f.OnTimeout, OnCrash: f.OnCrash, JobAttempts: f.JobAttempts, Grace: f.Grace.Seconds(), Slow: f.Slow.Seconds(),
		})
	}
	if pool.Shared {
		r.Timeout = cfg.Defaults().Timeout().Seconds()
	} else {
		r.Timeout = pool.Functions[0].Timeout.Seconds()
	}
	return r
}
