package manager

import (
	"context"

	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// describer asks plugins by starting them.
type describer struct {
	host *host.Host
	env  []string
}

// Describe implements Describer.
func (d describer) Describe(ctx context.Context, path, run string) (Description, error) {
	launch := host.Launch{Path: path, Env: d.env}
	if run != "" {
		launch.Path, launch.Program = run, path
	}
	desc, err := d.host.Describe(ctx, launch)
	if err != nil {
		return Description{}, err
	}
	return Description{
		Functions: desc.GetFunctions(), Version: desc.GetVersion(), Protocol: int(desc.GetContract()),
	}, nil
}
