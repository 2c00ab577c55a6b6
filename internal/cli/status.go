package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// status shows a fleet that runs.
type status struct {
	reach *reach
	json  bool
	watch bool
	ready bool
}

func statusCommand() command {
	return command{
		name: "status", args: "[FUNCTION]", complete: completeFunction, short: "show the fleet that runs, or the pools of a function",
		long: `
A line for each pool of workers. SLOTS are those that are registered with a job
server, and all; BUSY perform a job; DONE are jobs, failed ones among them; ? is
what cannot be known. Below is what may need somebody: job servers that cannot
be reached, workers that cannot be started, changes that do not hold, jobs that
are suspect or in quarantine. With a function there is more about its pools.

STATE is the first of these that holds:
  leaving     the config has it no more, its workers finish their jobs
  not run     its program cannot be run
  given up    too many starts have failed, see "retry"
  drained     by hand, as paused; see "resume"
  paused
  fault       a change of it is not applied, the workers of before go on
  failing     the last start of a worker has failed, it is tried again
  changing    workers are being replaced
  no server   no job server can be reached
  starting    not all slots are registered yet
  part paused some of its functions are paused or drained
  ready

With --ready nothing is shown but whether the fleet is: every pool has all its
slots registered with at least one job server, those aside that are paused or
drained. The exit code is 1 if not.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			s := &status{reach: addReach(fs)}
			fs.BoolVar(&s.json, "json", false, "Write all that is known as one JSON object, with --watch one on each line.")
			fs.BoolVarP(&s.watch, "watch", "w", false, "Show it again every second until ctrl-C.")
			fs.BoolVar(&s.ready, "ready", false, "Tell by the exit code whether the fleet is ready.")
			return s.run
		},
	}
}

func (s *status) run(ctx context.Context, std *streams, args []string) error {
	function, err := anyFunction(args)
	switch {
	case err != nil:
		return err
	case s.ready && (s.watch || s.json):
		return &usageError{problem: "--ready answers by the exit code, so that --watch and --json exclude it"}
	}
	return s.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		get := func(ctx context.Context) (control.Status, error) {
			return client.StatusOf(ctx, control.StatusQuery{Function: function})
		}
		if s.watch {
			return watch(ctx, std.out, s.show(get, function))
		}
		fleet, err := get(ctx)
		switch {
		case err != nil:
			return err
		case s.ready:
			return showReady(std.out, fleet)
		default:
			return s.write(std.out, fleet, function)
		}
	})
}

// show returns what writes the fleet as it is at each call, for as long as there is a
// manager.
func (s *status) show(get func(context.Context) (control.Status, error), function string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		fleet, err := get(ctx)
		switch {
		case err != nil:
			return err
		case s.json:
			out := json.NewEncoder(w)
			out.SetEscapeHTML(false)
			return out.Encode(fleet)
		default:
			return s.write(w, fleet, function)
		}
	}
}

func (s *status) write(w io.Writer, fleet control.Status, function string) error {
	if s.json {
		return writeJSON(w, fleet)
	}
	return statusTable(w, fleet, function)
}

// showReady is an error if the fleet is not ready.
func showReady(w io.Writer, s control.Status) error {
	if why := notReady(s); why != "" {
		return &exitError{code: exitFailed, err: errors.New("not ready: " + why)}
	}
	_, err := fmt.Fprintln(w, "ready")
	return err
}

// notReady says what is missing for the fleet to be ready, empty if nothing is. Of a
// pool whose functions somebody has paused or drained nothing is expected.
func notReady(s control.Status) string {
	if len(s.Pools) == 0 {
		return "no pool of workers runs yet"
	}
	for _, p := range s.Pools {
		held := len(p.Functions) > 0 && len(p.Paused)+len(p.Drained) >= len(p.Functions)
		switch ready := readySlots(p); {
		case p.Leaving, p.Slots == 0, held:
		case !p.Runs:
			return plain(p.Name) + " cannot be run"
		case ready < p.Slots:
			return fmt.Sprintf("%s has %d of %s registered", plain(p.Name), ready, plural(p.Slots, "slot", "slots"))
		}
	}
	return ""
}

// readySlots is how many slots of a pool are registered.
func readySlots(p control.Pool) (n int) {
	for _, w := range p.Workers {
		n += w.Ready
	}
	return n
}
