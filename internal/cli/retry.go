package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
)

// retry starts workers that wait because starts failed.
type retry struct{ reach *reach }

func retryCommand() command {
	return command{
		name: "retry", args: "FUNCTION", short: "start workers now whose starts have failed",
		long: `
Workers that cannot be started are tried again later and later, and given up
after start_retries. This tries those of a function at once.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			r := &retry{reach: addReach(fs)}
			return r.run
		},
	}
}

func (r *retry) run(ctx context.Context, std *streams, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return &usageError{problem: fmt.Sprintf("want the name of one function, got %d", len(args))}
	}
	client, err := r.reach.connect(ctx, std)
	if err != nil {
		return err
	}
	if err := client.Retry(ctx, args[0]); err != nil {
		return r.reach.answered(err)
	}
	_, err = fmt.Fprintf(std.out, "workers of %s are started\n", plain(args[0]))
	return err
}
