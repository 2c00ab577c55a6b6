package config_test

import (
	"math"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
)

// TestLimitsOfWorkers reads the limits that a worker and the kernel hold it to: unset, global, for a function, and off again.
func TestLimitsOfWorkers(t *testing.T) {
	t.Parallel()
	cfg, problems := config.Parse("config.ini", []byte(`[GearmanManager]
max_memory = 200M
max_memory_hard = 1G
rlimit_nofile = 4096
rlimit_data = 2G
rlimit_core = unlimited
nice = 5
start_concurrency = 3
start_retries = 4
start_seconds = 2.5
kill_group = off
timeout = 5
graceful_shutdown_wait_time = 5
max_runs_per_worker = 5
max_worker_lifetime = 5
worker_restart_splay = 5
[off]
max_memory = off
max_memory_hard = no
rlimit_nofile = 0
rlimit_data = 0
rlimit_core = off
nice = off
start_retries = none
start_seconds = 0
kill_group = on
timeout = off
graceful_shutdown_wait_time = 0
max_runs_per_worker = off
max_worker_lifetime = 0
worker_restart_splay = no
[signals]
stop_signal = sigUsr1
`), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if cfg.StartConcurrency() != 3 {
		t.Errorf("start_concurrency %d, want 3", cfg.StartConcurrency())
	}
	none, _ := config.Parse("", nil, nil)
	unset := limitsOf(none.Function("f"))
	for _, c := range []struct {
		name      string
		got, want workerLimits
	}{
		{"unset", unset, workerLimits{seconds: time.Second, group: true, signal: "TERM", grace: time.Minute, age: time.Hour, splay: 10 * time.Minute}},
		{"global", limitsOf(cfg.Function("other")), workerLimits{
			soft: 200 << 20, hard: 1 << 30, files: 4096, data: 2 << 30, core: math.MaxUint64, setCore: true, nice: 5,
			retries: 4, seconds: 2500 * time.Millisecond, signal: "TERM",
			timeout: 5 * time.Second, grace: 5 * time.Second, runs: 5, age: 5 * time.Second, splay: 5 * time.Second,
		}},
		{"off", limitsOf(cfg.Function("off")), workerLimits{setCore: true, group: true, signal: "TERM"}},
		{"a signal", workerLimits{signal: cfg.Function("signals").StopSignal()}, workerLimits{signal: "USR1"}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, c.got, c.want)
		}
	}
}

// workerLimits are what a function says of its workers.
type workerLimits struct {
	soft, hard, data  int64
	files, nice       int
	core              uint64
	setCore, group    bool
	signal            string
	retries, runs     int
	seconds, timeout  time.Duration
	grace, age, splay time.Duration
}

// limitsOf reads them.
func limitsOf(f config.Function) workerLimits {
	core, set := f.RlimitCore()
	return workerLimits{
		soft: f.MaxMemory(), hard: f.MaxMemoryHard(), files: f.RlimitNoFile(), data: f.RlimitData(), core: core, setCore: set, nice: f.Nice(),
		group: f.KillGroup(), signal: f.StopSignal(), retries: f.StartRetries(), runs: f.MaxRuns(), seconds: f.StartSeconds(),
		timeout: f.Timeout(), grace: f.Grace(), age: f.MaxLifetime(), splay: f.RestartSplay(),
	}
}

// TestFormatSize writes sizes so that they could be put back into the file.
func TestFormatSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 bytes", 1000: "1000 bytes", 1024: "1K", 3 << 19: "1536K", 300 << 20: "300M", 4 << 30: "4G", -1: "unlimited"} {
		if got := config.FormatSize(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
