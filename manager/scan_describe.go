package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gearman-manager/gearman-manager/config"
)

// describeAtOnce is how many plugins are asked for their functions at a time.
const describeAtOnce = 4

// describe asks every plugin for its functions.
func (s *scan) describe(ctx context.Context, d Describer) {
	descriptions := make([]Description, len(s.found))
	faults := make([]error, len(s.found))
	var group errgroup.Group
	group.SetLimit(describeAtOnce)
	for i, p := range s.found {
		if p.Kind != KindPlugin {
			continue
		}
		group.Go(func() error {
			descriptions[i], faults[i] = describeOne(ctx, d, p.Path)
			return nil
		})
	}
	_ = group.Wait() // its functions return nil
	for i := range s.found {
		if p := &s.found[i]; p.Kind == KindPlugin {
			s.declare(p, descriptions[i], faults[i])
		}
	}
}

// describeOne asks one plugin.
func describeOne(ctx context.Context, d Describer, path string) (Description, error) {
	if d == nil {
		return Description{}, errors.New("plugins are not run here")
	}
	if err := ctx.Err(); err != nil {
		return Description{}, fmt.Errorf("describe plugin: %w", err)
	}
	return d.Describe(ctx, path)
}

// declare takes over the functions of a plugin that the config lets through.
func (s *scan) declare(p *Program, description Description, fault error) {
	if fault != nil {
		why := strings.TrimPrefix(fault.Error(), "start plugin "+p.Path+": ") // it was named
		s.note(config.Error, p.Origin, "the plugin %s is not run, since it did not say what it performs: %s", p.Path, why)
		return
	}
	if len(description.Functions) == 0 {
		s.note(config.Error, p.Origin, "the plugin %s performs no function, want at least one", p.Path)
	}
	p.Version = description.Version
	for _, name := range description.Functions {
		if err := config.CheckFunctionName(name); err != nil {
			s.note(config.Error, p.Origin, "the plugin %s: %v", p.Path, err)
			continue
		}
		if s.cfg.Included(name) && !slices.Contains(p.Functions, name) {
			p.Functions = append(p.Functions, name)
		}
	}
}
