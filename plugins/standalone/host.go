package standalone

import (
	"strings"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// ServersEnv is the environment variable that holds the addresses of the job servers,
// separated by commas.
const ServersEnv = "GEARMAN_SERVERS"

// Config says how a Host works.
type Config struct {
	// Supervisor starts the processes. It belongs to the caller and has to outlive
	// the workers.
	Supervisor *supervisor.Supervisor
	// Servers are the job servers as host:port. Workers are told of them by their
	// environment, so that others take a new Host, and new workers.
	Servers []string
	// StartSeconds is for how long a worker has to live to be ready. It is ready at
	// once if zero.
	StartSeconds time.Duration //nolint:staticcheck // named as the setting
	// StopSignal tells a worker to leave; also the kernel sends it, when this process
	// dies. SIGTERM if zero.
	StopSignal syscall.Signal
}

// Host starts the workers of a pool. Its methods may be called from any goroutine.
// There is nothing to close: it has no goroutine of its own, and its timer stops when
// its last worker with a limit of memory has ended.
type Host struct {
	cfg    Config
	memory sampler
}

// New makes a Host. It starts nothing.
func New(cfg Config) *Host {
	if cfg.StopSignal == 0 {
		cfg.StopSignal = syscall.SIGTERM
	}
	return &Host{cfg: cfg, memory: sampler{workers: map[*Worker]struct{}{}}}
}

// environment is what the caller gave, with what a worker needs to know. That wins:
// with two equal keys each program picks one by itself.
func (h *Host) environment(given []string, worker string) []string {
	env := []string{ServersEnv + "=" + strings.Join(h.cfg.Servers, ","), plugins.WorkerEnv + "=" + worker}
	for _, entry := range given {
		if key, _, _ := strings.Cut(entry, "="); key != ServersEnv && key != plugins.WorkerEnv {
			env = append(env, entry)
		}
	}
	return env
}
