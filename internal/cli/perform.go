package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// perform is the command that runs one job without a job server.
type perform struct{ settings *settings }

func performCommand() command {
	return command{
		name: "run", args: "FUNCTION", complete: completeFunction, short: "perform one job here, without a job server",
		long: `
The program that performs the function is looked for as the manager does it, and
run once: the workload is standard input, the result goes to standard output,
everything else to standard error.

Exit codes:
  0    the job is done
  1    the job failed, or no program performs the function
  2    the command line makes no sense

Example:
  gearman-manager run -c config.ini wc < /etc/passwd
`,
		define: func(fs *pflag.FlagSet) action {
			p := &perform{settings: addSettings(fs, "count", "max_runs_per_worker", "max_worker_lifetime", "auto_update",
				"host", "log_file", "pid_file", "user", "daemon", verboseKey)}
			return p.run
		},
	}
}

func (p *perform) run(ctx context.Context, std *streams, args []string) error {
	if len(args) != 1 {
		return &usageError{problem: fmt.Sprintf("want the name of one function, got %d arguments", len(args))}
	}
	function := args[0]
	cfg, problems, err := p.settings.load(ctx, std)
	if err != nil {
		return err
	}
	if config.HasErrors(problems) {
		return refuse(std, problems)
	}
	var programs []manager.Program
	err = withManager(ctx, std, cfg, func(ctx context.Context, m *manager.Manager) {
		var more []config.Problem
		programs, more = manager.Scan(ctx, cfg, m.Describer(), nil)
		problems = append(problems, more...)
	})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(programs, func(prog manager.Program) bool { return slices.Contains(prog.Functions, function) })
	if i < 0 {
		writeProblems(std, problemsOf(function, problems))
		return unknownFunction(function, programs)
	}
	if programs[i].Kind == manager.KindPHP {
		return runPHP(ctx, std, cfg, programs[i], function)
	}
	return runProgram(ctx, std, cfg, programs[i], function)
}

// problemsOf selects what may be why a function has no program: what is wrong with
// its section or with a file of its name, else with any program.
func problemsOf(function string, problems []config.Problem) []config.Problem {
	var found []config.Problem
	for _, p := range problems {
		if p.Section == function || strings.Contains(p.Message, "/"+function+" ") || strings.Contains(p.Message, "/"+function+".") {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return problems
	}
	return found
}

// unknownFunction names the functions that there are.
func unknownFunction(function string, programs []manager.Program) error {
	var names []string
	for _, p := range programs {
		names = append(names, p.Functions...)
	}
	slices.Sort(names)
	switch near := config.Nearest(function, names); {
	case len(names) == 0:
		return fmt.Errorf("no program performs %q, and none is found for any other function: see -w and -c", function)
	case near != "":
		return fmt.Errorf("no program performs %q; did you mean %q?", function, near)
	default:
		return fmt.Errorf("no program performs %q; there are %s", function, strings.Join(names, ", "))
	}
}

// runProgram performs the job with the program.
func runProgram(ctx context.Context, std *streams, cfg *config.Config, prog manager.Program, function string) error {
	spec := supervisor.Spec{Name: function, Path: prog.Path, Pdeathsig: syscall.SIGKILL}
	switch prog.Kind {
	case manager.KindPlugin:
		spec.Args = []string{"run", function}
	case manager.KindExec:
		spec.Args = prog.Command[1:]
	case manager.KindPHP: // see runPHP
	case manager.KindStandalone:
		return fmt.Errorf("%s is a worker by itself, which takes its jobs from a job server: start it, and use %s job", prog.Path, programName)
	}
	spec.Env = append(os.Environ(), "GEARMAN_FUNCTION="+function, "GEARMAN_JOB_HANDLE=H:by-hand:1", "GEARMAN_UNIQUE=")
	exit, err := runOnce(ctx, std, spec, cfg.Function(function).Timeout())
	switch {
	case err != nil:
		return err
	case exit.Success():
		return nil
	default:
		return fmt.Errorf("%s %v", prog.Path, exit)
	}
}

// runOnce runs a process with the streams of this one until it ends, its time is
// over, or a signal comes.
func runOnce(ctx context.Context, std *streams, spec supervisor.Spec, timeout time.Duration) (exit supervisor.Exit, err error) {
	sup, err := supervisor.New(supervisor.Config{Subreaper: true})
	if err != nil {
		return exit, err
	}
	defer func() { err = errors.Join(err, sup.Stop(context.WithoutCancel(ctx))) }()
	ctx, stop := untilSignal(ctx, std.signals, false)
	defer stop()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%s is over its timeout of %v", spec.Name, timeout))
		defer cancel()
	}
	pipes, err := newPlumbing(std)
	if err != nil {
		return exit, err
	}
	defer func() { err = errors.Join(err, pipes.close()) }()
	spec.Stdin, spec.Stdout, spec.Stderr = pipes.stdin, pipes.stdout.Writer(), pipes.stderr.Writer()
	spec.ExtraFiles = []*os.File{pipes.progress.Writer()}
	proc, err := sup.Start(spec)
	if err != nil {
		return exit, err
	}
	select {
	case <-proc.Done():
		return proc.Exit(), nil
	case <-ctx.Done():
		_ = proc.Kill() // it may have ended meanwhile
		<-proc.Done()
		return proc.Exit(), context.Cause(ctx)
	}
}
