package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// changeOf is what a command does with one function.
type changeOf struct {
	name, short, long string
	do                func(*control.Client, context.Context, string) error
	done              string // what to say afterwards, with the function
}

// changeCommand makes a command that changes one function.
func changeCommand(c changeOf) command {
	return command{
		name: c.name, args: "FUNCTION", complete: completeFunction, short: c.short, long: c.long + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			r := addReach(fs)
			return func(ctx context.Context, std *streams, args []string) error {
				function, err := oneFunction(args)
				if err != nil {
					return err
				}
				return r.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
					if err := c.do(client, ctx, function); err != nil {
						return err
					}
					_, err := fmt.Fprintf(std.out, c.done+"\n", plain(function))
					return err
				})
			}
		},
	}
}

func pauseCommand() command {
	return changeCommand(changeOf{
		name: "pause", short: "have workers take no jobs of a function", do: (*control.Client).Pause, done: "no jobs of %s are taken",
		long: `
Workers stay, finish the jobs that they have, and wait. Jobs stay in the queue
of the job server. It holds until "resume", also over a restart of the manager.
`,
	})
}

func drainCommand() command {
	return changeCommand(changeOf{
		name: "drain", short: "have the workers of a function leave", do: (*control.Client).Drain, done: "the workers of %s leave",
		long: `
Workers finish the jobs that they have and end, and none is started, until
"resume", also over a restart of the manager. This does not wait for them. In a
shared pool, whose workers perform other functions too, the function is paused.
`,
	})
}

func resumeCommand() command {
	return changeCommand(changeOf{
		name: "resume", short: "end pause or drain of a function", do: (*control.Client).Resume, done: "%s is performed again",
		long: `
Workers take jobs again; those that were told to leave are started again.
`,
	})
}

// restart replaces workers.
type restart struct {
	reach *reach
	json  bool
}

func restartCommand() command {
	return command{
		name: "restart", args: "[FUNCTION]", complete: completeFunction, short: "replace all workers, or those of a function, one by one",
		long: `
Each worker leaves when its successor is registered with a job server, and
finishes the jobs that it has. This does not wait for it. A shared pool is
named by itself.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			r := &restart{reach: addReach(fs)}
			fs.BoolVar(&r.json, "json", false, "Write how many they are as a JSON object.")
			return r.run
		},
	}
}

// replaced says what becomes of a number of workers.
func replaced(n int) string {
	switch n {
	case 0:
		return "no worker runs that could be replaced"
	case 1:
		return "1 worker is replaced"
	default:
		return fmt.Sprintf("%d workers are replaced one by one", n)
	}
}

func (r *restart) run(ctx context.Context, std *streams, args []string) error {
	function, err := anyFunction(args)
	if err != nil {
		return err
	}
	return r.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		n, err := client.Restart(ctx, function)
		switch {
		case err != nil:
			return err
		case r.json:
			return writeJSON(std.out, control.Restarted{Workers: n})
		}
		_, err = fmt.Fprintln(std.out, replaced(n))
		return err
	})
}
