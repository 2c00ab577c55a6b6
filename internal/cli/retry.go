package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// retry starts workers that wait because starts failed.
type retry struct{ reach *reach }

func retryCommand() command {
	return command{
		name: "retry", args: "FUNCTION", complete: completeFunction, short: "start workers now whose starts have failed",
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
	function, err := oneFunction(args)
	if err != nil {
		return err
	}
	return r.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		if err := client.Retry(ctx, function); err != nil {
			return err
		}
		_, err := fmt.Fprintf(std.out, "workers of %s are started\n", plain(function))
		return err
	})
}
