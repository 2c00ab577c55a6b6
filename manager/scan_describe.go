package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gearman-manager/gearman-manager/config"
)

// describeAtOnce is how many plugins are asked for their functions at a time.
const describeAtOnce = 4

// answer is what a plugin said of itself, or why it did not.
type answer struct {
	description Description
	fault       error
}

// describe asks every plugin for its functions that was not asked before.
func (s *scan) describe(ctx context.Context) {
	for i := range s.found {
		if c := &s.found[i]; c.Kind == KindPlugin && !c.kept {
			s.prepare(c)
		}
	}
	answers := map[*candidate]*answer{}
	var group errgroup.Group
	group.SetLimit(describeAtOnce)
	for i := range s.found {
		c := &s.found[i]
		if c.Kind != KindPlugin || c.kept || c.Broken || !s.toAsk(c) {
			continue
		}
		a := &answer{}
		answers[c] = a
		group.Go(func() error {
			a.description, a.fault = describeOne(ctx, s.lib.describer, c.Path, c.Run)
			return nil
		})
	}
	_ = group.Wait() // its functions return nil
	for i := range s.found {
		if c := &s.found[i]; c.Kind == KindPlugin && !c.kept {
			s.declare(c, s.learn(ctx, c, answers[c]))
		}
	}
}

// prepare keeps a plugin as it runs where that is wanted, and finds what is executed of it otherwise.
func (s *scan) prepare(c *candidate) {
	s.holdBack(c)
	if c.kept || s.copyOf(c) {
		return
	}
	// It was replaced since it was looked at. What was copied is not used, as nothing is known of it.
	c.Broken, c.Run = true, ""
}

// toAsk reports whether a plugin has not told, or not lately told, what it performs.
func (s *scan) toAsk(c *candidate) bool {
	k := s.lib.knows(c.FileHash)
	return k.asked.IsZero() || k.fault != nil && s.doubted(k.asked)
}

// errReplaced is why a plugin is not run that is another one than a moment before.
var errReplaced = errors.New("it was replaced meanwhile")

// learn remembers the answer of a plugin, if it was asked, and returns what is known of it.
func (s *scan) learn(ctx context.Context, c *candidate, a *answer) answer {
	k := s.lib.knows(c.FileHash)
	switch {
	case c.Broken:
		return answer{fault: errReplaced}
	case a == nil:
		return answer{k.description, k.fault}
	case ctx.Err() == nil:
		k.asked, k.description, k.fault = s.lib.now(), a.description, a.fault
	}
	return *a
}

// describeOne asks one plugin.
func describeOne(ctx context.Context, d Describer, path, run string) (Description, error) {
	if d == nil {
		return Description{}, errors.New("plugins are not run here")
	}
	if err := ctx.Err(); err != nil {
		return Description{}, fmt.Errorf("describe plugin: %w", err)
	}
	return d.Describe(ctx, path, run)
}

// declare takes over the functions of a plugin that the config lets through.
func (s *scan) declare(c *candidate, a answer) {
	c.Broken = false
	switch {
	case a.fault != nil:
		why := strings.TrimPrefix(a.fault.Error(), "start plugin "+c.Path+": ") // it was named
		s.undeclared(c, fmt.Sprintf("the plugin %s is not run, since it did not say what it performs: %s", c.Path, why),
			fmt.Sprintf("the new version of the plugin %s did not say what it performs: %s", c.Path, why))
		return
	case len(a.description.Functions) == 0:
		s.undeclared(c, fmt.Sprintf("the plugin %s performs no function, want at least one", c.Path),
			fmt.Sprintf("the new version of the plugin %s performs no function, want at least one", c.Path))
		return
	}
	c.Version = a.description.Version
	for _, name := range a.description.Functions {
		if err := config.CheckFunctionName(name); err != nil {
			s.note(config.Error, c.Origin, "the plugin %s: %v", c.Path, err)
		}
	}
	c.Functions = s.included(a.description.Functions)
}

// undeclared notes why a plugin is not run, or why its new version is not.
func (s *scan) undeclared(c *candidate, why, whyNew string) {
	if c.runs == nil || c.runs.Kind != KindPlugin {
		s.note(config.Error, c.Origin, "%s", why)
		return
	}
	s.note(config.Error, c.Origin, "%s%s", whyNew, goesOn)
	s.keep(c, whyNew)
}
