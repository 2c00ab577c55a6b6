package cli

import (
	"context"
	"slices"

	"github.com/gearman-manager/gearman-manager/manager"
	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/exec"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// serveExec is this program as the worker that runs executables; the manager
// starts it so. It does not return.
func serveExec(args []string) {
	var (
		sup     *supervisor.Supervisor
		perform plugins.Handler
	)
	plugins.Serve(
		plugins.Version(Version()),
		plugins.Init(func(context.Context) (err error) {
			if sup, err = supervisor.New(supervisor.Config{Starters: exec.Starters}); err != nil {
				return err
			}
			perform = exec.New(sup, exec.Config{KeepGroup: slices.Contains(args, manager.ExecKeepGroupArg)})
			return nil
		}),
		plugins.Any(func(ctx context.Context, job *plugins.Job) ([]byte, error) { return perform(ctx, job) }),
		plugins.Close(func() error {
			return sup.Stop(context.Background()) //nolint:forbidigo // the end of a process's only work
		}),
	)
}
