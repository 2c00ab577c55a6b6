package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
	"github.com/gearman-manager/gearman-manager/manager"
)

// savedValue is a value that was written into a config file.
type savedValue struct {
	File    string `json:"file"`
	Section string `json:"section"`
	Key     string `json:"key"`
	Value   string `json:"value"`
}

// String says it for people.
func (v savedValue) String() string {
	return fmt.Sprintf("%s: [%s] %s = %s", v.File, v.Section, v.Key, v.Value)
}

// saving is what is to be written for numbers of slots to hold.
type saving struct{ values []savedValue }

// newSaving finds what has to be written. All that can be known to be wrong is wrong
// here, before anything is scaled.
func newSaving(ctx context.Context, client *control.Client, scalings []control.Scaling) (*saving, error) {
	fleet, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	file := fleet.Manager.Config
	switch {
	case file == "":
		return nil, notSaved("the manager was started without a config file")
	case phpconfig.IsPHP(file):
		return nil, notSaved(fmt.Sprintf("%s is PHP, want dedicated_count set there by hand", file))
	}
	cfg, problems := config.Load(file, nil)
	if cfg == nil || config.HasErrors(problems) {
		return nil, notSaved(fmt.Sprintf("%s has %s, see %s check -c %s", file, countErrors(problems), programName, file))
	}
	s := &saving{}
	for _, sc := range scalings {
		if err := s.add(cfg, fleet.Pools, sc); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// notSaved is the error of what cannot be saved. Nothing has been done.
func notSaved(problem string) error {
	return &exitError{code: exitFailed, err: fmt.Errorf("cannot be saved, so nothing was scaled: %s", problem)}
}

// add finds the values for one function.
func (s *saving) add(cfg *config.Config, pools []control.Pool, sc control.Scaling) error {
	kind, known := "", false
	for _, p := range pools {
		if p.Name == sc.Function && p.Shared {
			return notSaved(fmt.Sprintf("%s is a shared pool: its number is count in [%s], from which that of the others is counted too; want it set there by hand", sc.Function, config.GlobalSection))
		}
		if p.Name == sc.Function {
			kind, known = p.Kind, true
		}
	}
	switch {
	case !known:
		return notSaved(sc.Function + " has no workers of its own, want a dedicated_count in its section")
	case sc.Slots == 0:
		return notSaved(fmt.Sprintf("no config means 0 workers of a function; want %q in exclude of [%s], or %s drain %s until it is resumed", sc.Function, config.GlobalSection, programName, sc.Function))
	}
	for _, c := range countChanges(cfg, kind, sc) {
		s.values = append(s.values, savedValue{File: cfg.FileOf(sc.Function), Section: c.Section, Key: c.Key, Value: c.Value})
	}
	return nil
}

// countChanges are the values with which a fresh start gives a function that many slots
// of its own. dedicated_count says it, unless count, which is the least for own and
// shared slots together, asks for more; it then gets the sum.
func countChanges(cfg *config.Config, kind string, sc control.Scaling) []config.Change {
	shared := cfg.Count()
	if kind == string(manager.KindStandalone) {
		shared = 0 // there is no shared pool beside it
	}
	changes := []config.Change{{Section: sc.Function, Key: "dedicated_count", Value: strconv.Itoa(sc.Slots)}}
	f := cfg.Function(sc.Function)
	if !f.DedicatedOnly() && f.Count() > shared+sc.Slots {
		changes = append(changes, config.Change{Section: sc.Function, Key: "count", Value: strconv.Itoa(shared + sc.Slots)})
	}
	return changes
}

// save writes the values, file by file.
func (s *saving) save() ([]savedValue, error) {
	var files []string
	changes := map[string][]config.Change{}
	for _, v := range s.values {
		if _, known := changes[v.File]; !known {
			files = append(files, v.File)
		}
		changes[v.File] = append(changes[v.File], config.Change{Section: v.Section, Key: v.Key, Value: v.Value})
	}
	var errs []error
	for _, file := range files {
		errs = append(errs, config.Save(file, changes[file]))
	}
	return s.values, errors.Join(errs...)
}
