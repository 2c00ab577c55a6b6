package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/demo"
)

// demonstrate runs the demo.
type demonstrate struct {
	workers   []string
	keep      bool
	verbosity int
	logs      *logFlags
}

func demoCommand() command {
	return command{
		name: "demo", short: "show it all at work, with the example workers",
		long: `
Starts the embedded job server on a free port, a manager with the example
workers, sends them jobs and checks the answers. "make demo" builds what it
needs. Nothing is left behind.
` + exitHelp,
		define: func(fs *pflag.FlagSet) action {
			d := &demonstrate{logs: addLogFlags(fs)}
			fs.BoolVarP(&d.keep, "keep", "k", false, "Stay up until ctrl-C or until the terminal is closed, and say how to talk to it.")
			fs.StringSliceVarP(&d.workers, "workers", "w", nil, "Find the workers in `DIR[,DIR]`; the examples beside this program if not given.")
			fs.CountVarP(&d.verbosity, "verbose", "v", "Show the manager's log too, as its -v does.")
			return d.run
		},
	}
}

func (d *demonstrate) run(ctx context.Context, std *streams, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	var err error
	if len(d.workers) == 0 {
		if d.workers, err = exampleWorkers(); err != nil {
			return err
		}
	}
	log, err := d.logs.logger(std, d.verbosity)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, std.signals, true)
	defer stop()
	return demo.Run(ctx, demo.Config{WorkerDirs: d.workers, Keep: d.keep, Out: std.out, Logger: log})
}

// exampleWorkers are where "make build" leaves the examples: the plugins beside
// the program, the scripts in the source tree above it.
func exampleWorkers() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the example workers: %w", err)
	}
	dirs := []string{
		filepath.Join(filepath.Dir(self), "examples"),
		filepath.Join(filepath.Dir(self), "..", "examples", "workers"),
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("find the example workers: %w; run \"make demo\" in the source tree, or name directories with --workers", err)
		}
	}
	return dirs, nil
}
