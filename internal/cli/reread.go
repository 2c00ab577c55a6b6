package cli

import (
	"context"
	"os"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// rereading reads the config of a fleet that runs again, with the flags that it was
// started with.
type rereading struct {
	settings   *settings
	std        *streams
	running    *config.Config         // that the fleet was started with
	supervisor *supervisor.Supervisor // the fleet's: there is one in a process
}

// load reads the config file as it is now. It leaves signals to the fleet.
func (r *rereading) load(ctx context.Context) (*config.Config, []config.Problem) {
	cfg, problems := r.read(ctx)
	if cfg == nil {
		return nil, problems
	}
	return cfg, append(problems, r.fixed(cfg)...)
}

func (r *rereading) read(ctx context.Context) (*config.Config, []config.Problem) {
	file, overrides := r.settings.file, r.settings.overrides()
	if !phpconfig.IsPHP(file) {
		return config.Load(file, overrides)
	}
	return phpconfig.Load(ctx, phpconfig.Config{Supervisor: r.supervisor, Env: os.Environ()}, file, overrides)
}

// fixed warns of what only takes effect at a start. Of its own settings the manager warns.
func (r *rereading) fixed(cfg *config.Config) (problems []config.Problem) {
	for _, key := range []struct{ name, before, now string }{
		{"log_file", r.running.LogFile(), cfg.LogFile()},
		{"pid_file", r.running.PidFile(), cfg.PidFile()},
	} {
		if key.before != key.now {
			problems = append(problems, problemOf(cfg, key.name, "the change takes effect when the manager is started again"))
		}
	}
	return problems
}
