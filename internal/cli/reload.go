package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/control"
)

// reload has a manager look at config and programs.
type reload struct {
	reach      *reach
	configOnly bool
	codeOnly   bool
	json       bool
}

func reloadCommand() command {
	return command{
		name: "reload", short: "apply changes of the config and of programs",
		long: `
What changes is written pool by pool, problems go to standard error; workers are
replaced one by one, which this does not wait for. Where the config has errors
nothing is changed, and a program with errors goes on as it runs. The exit code
is 1 then.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			r := &reload{reach: addReach(fs)}
			fs.BoolVar(&r.configOnly, "config-only", false, "Read the config again, and leave programs that have changed as they run.")
			fs.BoolVar(&r.codeOnly, "code-only", false, "Take programs that have changed, and leave the config as it is.")
			fs.BoolVar(&r.json, "json", false, "Write changes and problems as one JSON object.")
			return r.run
		},
	}
}

func (r *reload) run(ctx context.Context, std *streams, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	if r.configOnly && r.codeOnly {
		return &usageError{problem: "--config-only and --code-only exclude each other"}
	}
	req := control.ReloadRequest{Config: !r.codeOnly, Code: !r.configOnly}
	return r.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		report, err := client.Reload(ctx, req)
		if err != nil {
			return err
		}
		if r.json {
			err = writeJSON(std.out, report)
		} else {
			err = writeReload(std, report)
		}
		return errors.Join(err, reloadError(report))
	})
}

// writeReload writes for people what a reload does.
func writeReload(std *streams, report control.ReloadReport) error {
	for _, p := range report.Problems {
		_, _ = fmt.Fprintln(std.err, problemText(p))
	}
	for _, c := range report.Changes {
		for _, what := range c.What {
			if _, err := fmt.Fprintf(std.out, "%s: %s\n", plain(c.Pool), plain(what)); err != nil {
				return err
			}
		}
	}
	if len(report.Changes) == 0 && !report.Refused {
		_, err := fmt.Fprintln(std.out, "nothing has changed")
		return err
	}
	return nil
}

// reloadError is the error of a reload that did not do all that it was to.
func reloadError(report control.ReloadReport) error {
	if report.Refused {
		return &exitError{code: exitFailed, err: errors.New("the config has errors; the one before holds")}
	}
	for _, p := range report.Problems {
		if p.Severity == string(config.Error) {
			return &exitError{code: exitFailed}
		}
	}
	return nil
}

// problemFrom is a problem as config has it.
func problemFrom(p control.Problem) config.Problem {
	out := config.Problem{
		File: p.File, Line: p.Line, Section: p.Section, Key: p.Key, Severity: config.Warning, Message: p.Message, Flag: p.Flag,
	}
	if p.Severity == string(config.Error) {
		out.Severity = config.Error
	}
	return out
}
