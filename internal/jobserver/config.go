package jobserver

import (
	"fmt"
	"os"
	"strings"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// maxPrefix bounds [Config.HandlePrefix] in bytes: a handle has at most
// wire.MaxHandle bytes, of which the colon and a 32-bit counter take 11 and a
// terminating NUL that other implementations store takes one.
const maxPrefix = wire.MaxHandle - 12

// Config says how a [Server] behaves. The zero value listens on a free port of
// the loopback interface and behaves as gearmand does without options.
type Config struct {
	// Addr is the TCP address to listen on; empty means "127.0.0.1:0".
	Addr string
	// JobRetries is the number of attempts after which a job whose workers keep
	// disappearing is failed and dropped; 0 means no limit. gearmand's
	// --job-retries.
	JobRetries int
	// WorkerWakeup is the number of sleeping workers that are woken for each
	// job; 0 wakes all. gearmand's --worker-wakeup.
	WorkerWakeup int
	// RoundRobin lets a worker's functions take turns instead of serving the
	// one registered last first. gearmand's --round-robin.
	RoundRobin bool
	// Exceptions forwards WORK_EXCEPTION to every client, also to those that
	// did not ask for the option. gearmand's --exceptions.
	Exceptions bool
	// HandlePrefix begins every job handle, before a colon and a counter; empty
	// means "H:" and the name of the host. gearmand's --job-handle-prefix.
	HandlePrefix string
	// MaxData caps a workload or result in bytes; 0 means wire.DefaultMaxData.
	MaxData int64
	// MaxPending caps what may wait to be read by one peer, in bytes; a peer
	// that lets more pile up is disconnected. 0 means four times MaxData, which
	// must be the smallest value given too: a result has to fit.
	MaxPending int64
	// Events, if set, is told what happens. It is called from many goroutines
	// at once, must not block and must not call the Server.
	Events func(Event)
}

// ConfigError says which field of a [Config] cannot be used.
type ConfigError struct {
	Field   string
	Problem string
}

// Error names the field and the problem.
func (e *ConfigError) Error() string { return fmt.Sprintf("job server: %s: %s", e.Field, e.Problem) }

// withDefaults fills in what was left zero.
func (c Config) withDefaults() (Config, error) {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.MaxData == 0 {
		c.MaxData = wire.DefaultMaxData
	}
	if c.MaxPending == 0 {
		c.MaxPending = 4 * c.MaxData
	}
	if c.HandlePrefix == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("name job handles: %w", err)
		}
		c.HandlePrefix = "H:" + host
		c.HandlePrefix = c.HandlePrefix[:min(len(c.HandlePrefix), maxPrefix)]
	}
	return c, c.validate()
}

// validate checks what withDefaults completed.
func (c Config) validate() error {
	switch {
	case c.JobRetries < 0:
		return &ConfigError{"JobRetries", fmt.Sprintf("%d is negative", c.JobRetries)}
	case c.WorkerWakeup < 0:
		return &ConfigError{"WorkerWakeup", fmt.Sprintf("%d is negative", c.WorkerWakeup)}
	case c.MaxData < 0:
		return &ConfigError{"MaxData", fmt.Sprintf("%d is negative", c.MaxData)}
	case c.MaxPending < 4*c.MaxData:
		return &ConfigError{"MaxPending", fmt.Sprintf("%d is less than four times MaxData", c.MaxPending)}
	case len(c.HandlePrefix) > maxPrefix:
		return &ConfigError{"HandlePrefix", fmt.Sprintf("%d bytes, at most %d", len(c.HandlePrefix), maxPrefix)}
	case strings.ContainsAny(c.HandlePrefix, "\x00\t\r\n "):
		return &ConfigError{"HandlePrefix", "holds a space, tab, line end or NUL"}
	}
	return nil
}
