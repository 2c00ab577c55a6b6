package config

import (
	"slices"
	"time"
)

// The values of on_timeout and on_crash.
const (
	// Fail answers the client of the job with an exception.
	Fail = "fail"
	// Reissue has the job server queue the job again.
	Reissue = "reissue"
)

// Function is the view of a [Config] for one function: its own values, else those of [GearmanManager], else the defaults.
// It is a value, cheap to make and safe for concurrent use.
type Function struct {
	config *Config
	name   string
}

// Name returns the name of the function.
func (f Function) Name() string { return f.name }

// HasSection reports whether the file has a section for the function.
func (f Function) HasSection() bool {
	_, ok := f.config.sections[f.name]
	return ok
}

// Origin says where the value of a key came from.
func (f Function) Origin(key string) Origin { return f.config.Origin(f.name, key) }

// IsOwn reports whether the function's own section sets the key.
func (f Function) IsOwn(key string) bool {
	_, ok := f.config.values[place{f.name, key}]
	return ok
}

// Count returns the function's own count, 0 when it has none.
func (f Function) Count() int { return get[int](f.config, f.name, "count") }

// DedicatedCount returns the function's own dedicated_count, 0 when it has none.
func (f Function) DedicatedCount() int { return get[int](f.config, f.name, "dedicated_count") }

// DedicatedOnly reports whether the function stays out of the shared pool.
func (f Function) DedicatedOnly() bool { return get[bool](f.config, f.name, "dedicated_only") }

// Priority returns -5 to 5; functions of higher priority are registered first.
func (f Function) Priority() int { return get[int](f.config, f.name, "priority") }

// Command returns the words of the command line, nil when the function has none.
func (f Function) Command() []string { return slices.Clone(get[[]string](f.config, f.name, "command")) }

// Mode returns how the program is run: plugin, php, exec, standalone or pear; empty when it is not said.
func (f Function) Mode() string { return get[string](f.config, f.name, "mode") }

// Concurrency returns the slots of one worker process, 0 when it is not said.
func (f Function) Concurrency() int { return get[int](f.config, f.name, "concurrency") }

// Timeout returns how long a job may take; 0 is no limit.
func (f Function) Timeout() time.Duration { return get[time.Duration](f.config, f.name, "timeout") }

// Slow returns how long a job may take before it is logged as slow; 0 is for ever.
func (f Function) Slow() time.Duration { return get[time.Duration](f.config, f.name, "slow") }

// Watch returns the absolute patterns of the files that the program depends on, as [path/filepath.Match] takes them; nil when there are
// none.
func (f Function) Watch() []string { return slices.Clone(get[[]string](f.config, f.name, "watch")) }

// ReloadBatch returns how many workers are replaced at the same time, at least 1.
func (f Function) ReloadBatch() int { return get[int](f.config, f.name, "reload_batch") }

// OnTimeout returns [Fail] or [Reissue].
func (f Function) OnTimeout() string { return get[string](f.config, f.name, "on_timeout") }

// OnCrash returns [Fail] or [Reissue].
func (f Function) OnCrash() string { return get[string](f.config, f.name, "on_crash") }

// JobAttempts returns how often a job is tried; 0 is no limit.
func (f Function) JobAttempts() int { return get[int](f.config, f.name, "job_attempts") }

// Grace returns how long a job in hand may go on when its worker has to leave; 0 is not at all.
func (f Function) Grace() time.Duration {
	return get[time.Duration](f.config, f.name, "graceful_shutdown_wait_time")
}

// MaxRuns returns the jobs after which a worker is replaced; 0 is no limit.
func (f Function) MaxRuns() int { return get[int](f.config, f.name, "max_runs_per_worker") }

// MaxLifetime returns the age at which a worker is replaced; 0 is no limit.
func (f Function) MaxLifetime() time.Duration {
	return get[time.Duration](f.config, f.name, "max_worker_lifetime")
}

// RestartSplay returns the greatest random part by which a worker's lifetime is longer.
func (f Function) RestartSplay() time.Duration {
	return get[time.Duration](f.config, f.name, "worker_restart_splay")
}

// MaxMemory returns the resident memory in bytes at which a worker is replaced after its job; 0 is no limit.
func (f Function) MaxMemory() int64 { return get[int64](f.config, f.name, "max_memory") }

// MaxMemoryHard returns the resident memory in bytes at which a worker is killed; 0 is no limit.
func (f Function) MaxMemoryHard() int64 { return get[int64](f.config, f.name, "max_memory_hard") }

// StartSeconds returns how long a worker has to live for its start to count as a success.
func (f Function) StartSeconds() time.Duration {
	return get[time.Duration](f.config, f.name, "start_seconds")
}

// StartRetries returns the failed starts in a row after which no more are tried; 0 is no limit.
func (f Function) StartRetries() int { return get[int](f.config, f.name, "start_retries") }

// RlimitNoFile returns how many descriptors may be open; 0 leaves it as it is.
func (f Function) RlimitNoFile() int { return get[int](f.config, f.name, "rlimit_nofile") }

// RlimitData returns how many bytes of private writable memory may be mapped; 0 is not said.
func (f Function) RlimitData() int64 { return get[int64](f.config, f.name, "rlimit_data") }

// RlimitCore returns how many bytes a core dump may have, [math.MaxUint64] where that is without limit; set is false when it is to be
// left as it is.
func (f Function) RlimitCore() (size uint64, set bool) {
	typed, _ := f.config.find(f.name, "rlimit_core")
	n, set := typed.(int64)
	return uint64(n), set // the typed value for no limit is -1, which is the kernel's RLIM_INFINITY
}

// Nice returns the priority for the processor, -20 (preferred) to 19; 0 leaves it as it is.
func (f Function) Nice() int { return get[int](f.config, f.name, "nice") }

// KillGroup reports whether what a worker has started ends with it.
func (f Function) KillGroup() bool { return get[bool](f.config, f.name, "kill_group") }

// StopSignal returns the name of the signal that tells a standalone worker to leave, without SIG, such as TERM.
func (f Function) StopSignal() string { return get[string](f.config, f.name, "stop_signal") }
