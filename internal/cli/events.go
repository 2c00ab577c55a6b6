package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// events shows what happens in a fleet.
type events struct {
	reach  *reach
	follow bool
	json   bool
	since  uint64
	last   int
}

// allEvents is the number that stands for as many events as there are.
const allEvents = math.MinInt

func eventsCommand() command {
	return command{
		name: "events", args: "[FUNCTION]", complete: completeFunction, short: "show what has happened in the fleet, and what happens",
		long: `
The events that the manager remembers, some thousand, as lines of the log, of
every level whatever is logged. With a function those that are about it or its
pool, and those that are about none.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			e := &events{reach: addReach(fs)}
			fs.BoolVarP(&e.follow, "follow", "f", false, "Go on with what happens, until ctrl-C or the end of the manager.")
			fs.BoolVar(&e.json, "json", false, "Write each event as a JSON object on a line of its own.")
			fs.Uint64Var(&e.since, "since", 0, "Only events after the one with this `NUMBER`, which is \"seq\" in JSON.")
			fs.IntVarP(&e.last, "lines", "n", allEvents, "Only the last `N` of those that have been; all if not given.")
			fs.Lookup("lines").DefValue = "" // none to be shown
			return e.run
		},
	}
}

func (e *events) run(ctx context.Context, std *streams, args []string) error {
	function, err := anyFunction(args)
	if err != nil {
		return err
	}
	q := control.EventsQuery{Since: e.since, Function: function, Follow: e.follow}
	switch {
	case e.last >= 0:
		q.Last = &e.last
	case e.last != allEvents:
		return &usageError{problem: fmt.Sprintf("-n %d is no number of events, want 0 or more", e.last)}
	}
	return e.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		return followed(ctx, e.follow, client.Events(ctx, q, e.writer(std.out)))
	})
}

// followed makes a signal the silent end of what is followed.
func followed(ctx context.Context, follow bool, err error) error {
	if follow && ctx.Err() != nil {
		return watched(ctx, err)
	}
	return err
}

// writer writes events for scripts or people.
func (e *events) writer(w io.Writer) func(control.Event) error {
	if e.json {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		return func(event control.Event) error { return out.Encode(event) }
	}
	lines := logging.Lines(w)
	return func(event control.Event) error {
		_, err := lines.Write(event.LogLine())
		return err
	}
}
