package cli

import (
	"context"
	"errors"
	"os"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// loadConfig reads a config file, an ini file or one in PHP, and puts the
// overrides on top. The error is that of a signal meanwhile, or of this machine;
// what is wrong with the file is in the problems.
//
// A file in PHP is run under a supervisor of its own, which has ended when
// loadConfig returns.
func loadConfig(ctx context.Context, std *streams, file string, overrides config.Overrides) (cfg *config.Config, problems []config.Problem, err error) {
	if !phpconfig.IsPHP(file) {
		cfg, problems = config.Load(file, overrides)
		return cfg, problems, nil
	}
	sup, err := supervisor.New(supervisor.Config{})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, sup.Stop(context.WithoutCancel(ctx))) }()
	ctx, stop := untilSignal(ctx, std.signals, false)
	defer stop()
	cfg, problems = phpconfig.Load(ctx, phpconfig.Config{Supervisor: sup, Env: os.Environ()}, file, overrides)
	return cfg, problems, context.Cause(ctx)
}
