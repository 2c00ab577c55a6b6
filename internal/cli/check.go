package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

// check shows what would be run.
type check struct {
	settings  *settings
	json      bool
	migration migration
}

func checkCommand() command {
	return command{
		name: "check", short: "show what would be run, and what is wrong with the config",
		long: `
The plan goes to standard output, problems to standard error. WORKERS are what a
job server counts: how many jobs of the functions can run at a time. PROCS are
the processes that do it. LIMITS are what a worker is held to: how long a job
may take, after how many jobs, at which age and memory the worker is replaced or
killed, what the kernel is told, and after how many failed starts in a row its
pool is given up; - is no limit, and pools with the same limits share a line.

No worker is started, but each Go plugin is run for a moment and asked for its
functions, and the files of PHP workers are loaded once to find those that are
broken. A pattern of watch that matches no file is a warning.

Exit codes:
  0    no errors; there may be warnings
  1    the config or a program has errors
  2    the command line makes no sense
`,
		define: func(fs *pflag.FlagSet) action {
			c := &check{settings: addSettings(fs, verboseKey)}
			fs.BoolVar(&c.json, "json", false, "Write plan and problems as one JSON object to standard output.")
			addMigration(fs, &c.migration)
			return c.run
		},
	}
}

func (c *check) run(ctx context.Context, std *streams, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	cfg, problems, err := c.settings.load(ctx, std)
	if err != nil {
		return err
	}
	plan := &manager.Plan{}
	if cfg != nil {
		found, more, err := makePlan(ctx, std, cfg)
		if err != nil {
			return err
		}
		plan, problems = found, slices.Concat(problems, more, unwatched(cfg))
	}
	if err := c.write(std, cfg, plan, problems); err != nil {
		return err
	}
	if config.HasErrors(problems) {
		return &exitError{code: exitFailed}
	}
	return nil
}

// write shows the plan and the problems.
func (c *check) write(std *streams, cfg *config.Config, plan *manager.Plan, problems []config.Problem) error {
	notes := c.migration.notes(cfg, plan)
	if c.json {
		out := json.NewEncoder(std.out)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		report := manager.NewCheckReport(cfg, plan, problems)
		report.Migration = append(report.Migration, notes...)
		return out.Encode(report)
	}
	writeProblems(std, problems)
	if len(plan.Pools) == 0 {
		_, err := fmt.Fprintln(std.out, "nothing would be run")
		return errors.Join(err, writeMigration(std.out, notes))
	}
	return errors.Join(plan.Table(std.out), writeLimits(std.out, plan), writeMigration(std.out, notes))
}

// unwatched notes patterns of watch that match no file, which are more often a slip
// than files that are to come.
func unwatched(cfg *config.Config) (problems []config.Problem) {
	for _, section := range append([]string{config.GlobalSection}, cfg.Sections()...) {
		f := cfg.Function(section)
		if !f.IsOwn("watch") {
			continue
		}
		for _, pattern := range f.Watch() {
			if found, err := filepath.Glob(pattern); err == nil && len(found) == 0 {
				at := f.Origin("watch")
				problems = append(problems, config.Problem{
					File: at.File, Line: at.Line, Section: at.Section, Key: at.Key, Severity: config.Warning,
					Message: pattern + " matches no file, want the files that the program depends on",
				})
			}
		}
	}
	return problems
}

// writeLimits shows below the plan what the workers of its pools are held to.
func writeLimits(w io.Writer, plan *manager.Plan) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return fmt.Errorf("write limits: %w", err)
	}
	return plan.LimitsTable(w)
}

// makePlan asks a manager that starts nothing for the plan.
func makePlan(ctx context.Context, std *streams, cfg *config.Config) (plan *manager.Plan, problems []config.Problem, err error) {
	err = withManager(ctx, std, cfg, func(ctx context.Context, m *manager.Manager) {
		plan, problems = m.MakePlan(ctx)
	})
	return plan, problems, err
}

// withManager gives f a manager that is stopped afterwards, and ends f's context
// with a signal.
func withManager(ctx context.Context, std *streams, cfg *config.Config, f func(context.Context, *manager.Manager)) error {
	watch := func(e manager.Event) {
		if slow, ok := e.(manager.PHPSlow); ok {
			_, _ = fmt.Fprintf(std.err, "waiting: %v\n", slow) // what waits tells its own errors
		}
	}
	m, err := manager.New(manager.Config{Settings: cfg, Logger: zerolog.Nop(), OnEvent: watch}) //nolint:contextcheck // it waits for nothing
	if err != nil {
		return err
	}
	asked, stop := untilSignal(ctx, std.signals, false)
	f(asked, m)
	cause := context.Cause(asked)
	stop()
	return errors.Join(cause, m.Stop(ctx))
}
