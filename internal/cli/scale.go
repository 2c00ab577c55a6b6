package cli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// scale sets numbers of slots.
type scale struct {
	reach *reach
	save  bool
	json  bool
}

func scaleCommand() command {
	return command{
		name: "scale", args: "FUNCTION=SLOTS…", complete: completeScaling, short: "set how many jobs of a function can run at a time",
		long: `
The number is that of the function's own workers, as status shows it, or of the
shared pool of that name. With several functions all are set or none. It holds
until the config changes, also over a restart of the manager; with --save it is
written into the ini file that the manager was started with, whose comments
stay. With 0 the workers leave. This does not wait for workers.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			s := &scale{reach: addReach(fs)}
			fs.BoolVar(&s.save, "save", false, "Write it into the config file too.")
			fs.BoolVar(&s.json, "json", false, "Write what was done as one JSON object.")
			return s.run
		},
	}
}

// scaled is what scale has done, for scripts.
type scaled struct {
	Scalings []control.Scaling `json:"scalings"`
	Saved    []savedValue      `json:"saved"`
}

func (s *scale) run(ctx context.Context, std *streams, args []string) error {
	scalings, err := parseScalings(args)
	if err != nil {
		return err
	}
	return s.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		var saving *saving
		if s.save {
			if saving, err = newSaving(ctx, client, scalings); err != nil {
				return err
			}
		}
		if err := client.Scale(ctx, scalings); err != nil {
			return err
		}
		done := scaled{Scalings: scalings, Saved: []savedValue{}}
		if saving != nil {
			if done.Saved, err = saving.save(); err != nil {
				return &exitError{code: exitFailed, err: fmt.Errorf("it was scaled but not saved: %w", err)}
			}
		}
		return s.write(std, done)
	})
}

func (s *scale) write(std *streams, done scaled) error {
	if s.json {
		return writeJSON(std.out, done)
	}
	for _, sc := range done.Scalings {
		if _, err := fmt.Fprintf(std.out, "%s: %s\n", plain(sc.Function), plural(sc.Slots, "slot", "slots")); err != nil {
			return err
		}
	}
	for _, v := range done.Saved {
		if _, err := fmt.Fprintf(std.out, "saved: %s\n", plain(v.String())); err != nil {
			return err
		}
	}
	return nil
}

// parseScalings reads FUNCTION=SLOTS. The name may have a = too.
func parseScalings(args []string) ([]control.Scaling, error) {
	if len(args) == 0 {
		return nil, &usageError{problem: "want FUNCTION=SLOTS, got nothing"}
	}
	var all []control.Scaling
	for _, arg := range args {
		at := strings.LastIndexByte(arg, '=')
		if at <= 0 {
			return nil, &usageError{problem: fmt.Sprintf("want FUNCTION=SLOTS, got %q", arg)}
		}
		n, err := strconv.Atoi(arg[at+1:])
		if err != nil || n < 0 || n > math.MaxInt32 {
			return nil, &usageError{problem: fmt.Sprintf("%q is no number of slots, want 0 or more", arg[at+1:])}
		}
		name := arg[:at]
		if slices.ContainsFunc(all, func(s control.Scaling) bool { return s.Function == name }) {
			return nil, &usageError{problem: fmt.Sprintf("%q is named twice", name)}
		}
		all = append(all, control.Scaling{Function: name, Slots: n})
	}
	return all, nil
}
