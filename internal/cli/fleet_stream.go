package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/manager"
)

// streamBuffer is how many events are kept for a reader that is slower than they come.
const streamBuffer = 1000

// scope is whose events are asked for.
type scope struct {
	function string   // empty: all
	pools    []string // that perform it, or have its name
	worker   string   // empty: all
}

// newScope finds the pools of a function.
func newScope(s manager.Snapshot, function string) scope {
	sc := scope{function: function}
	for _, p := range s.Pools {
		if p.Name == function || slices.Contains(p.Functions, function) {
			sc.pools = append(sc.pools, p.Name)
		}
	}
	return sc
}

// has tells whether something of a pool is in it, a pool that is new among them.
func (sc scope) has(pool string) bool {
	return sc.function == "" || pool == sc.function || slices.Contains(sc.pools, pool)
}

// holds tells whether an event is in it. One that is about no worker and no function is
// about all.
func (sc scope) holds(e manager.Event) bool {
	a := e.About()
	switch {
	case sc.worker != "" && a.Worker != sc.worker:
		return false
	case sc.function == "" || a.Function == sc.function:
		return true
	case a.Function != "":
		return false
	default:
		return a.Pool == "" || sc.has(a.Pool)
	}
}

// Events sends what is remembered of events, and those that happen.
func (f *runningFleet) Events(ctx context.Context, q control.EventsQuery, send func(control.Event) error) error {
	sc := newScope(f.manager.Snapshot(), q.Function)
	var live *manager.Subscription
	if q.Follow {
		live = f.manager.Subscribe(streamBuffer)
		defer live.Close()
	}
	past, whole := f.manager.PastEvents(q.Since)
	past = slices.DeleteFunc(past, func(e manager.Stamped) bool {
		return live != nil && e.Seq > live.After() || !sc.holds(e.Event)
	})
	if q.Function != "" && len(sc.pools) == 0 && len(past) == 0 {
		return f.answered(fmt.Errorf("show events of %s: %w", q.Function, manager.ErrNoPool), q.Function)
	}
	for _, e := range pastEvents(past, q, whole) {
		if err := send(e); err != nil {
			return err
		}
	}
	if live == nil {
		return nil
	}
	return follow(ctx, live, func(e manager.Stamped) error {
		if e.Seq <= q.Since || !sc.holds(e.Event) {
			return nil
		}
		return send(controlEvent(e))
	})
}

// pastEvents is what is sent of the past: with a word about what is missing, if all
// after a number was asked for and some is forgotten.
func pastEvents(past []manager.Stamped, q control.EventsQuery, whole bool) (out []control.Event) {
	if q.Last != nil && *q.Last < len(past) {
		past = past[len(past)-*q.Last:]
	} else if !whole && q.Since > 0 && len(past) > 0 {
		missed := int(past[0].Seq - q.Since - 1) //nolint:gosec // events are not that many
		out = append(out, controlEvent(manager.Stamped{Seq: past[0].Seq - 1, At: past[0].At, Event: manager.Lagged{Missed: missed}}))
	}
	for _, e := range past {
		out = append(out, controlEvent(e))
	}
	return out
}

// follow calls each with the events of a subscription until its end.
func follow(ctx context.Context, live *manager.Subscription, each func(manager.Stamped) error) error {
	for {
		e, err := live.Next(ctx)
		if errors.Is(err, manager.ErrEventsEnded) {
			return nil
		} else if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

func controlEvent(e manager.Stamped) control.Event {
	about, line := e.Event.About(), manager.LineOf(e.Event)
	out := control.Event{
		Seq: e.Seq, At: e.At, Name: e.Event.Name(),
		Pool: about.Pool, Worker: about.Worker, PID: about.PID, Function: about.Function, Server: about.Server, Handle: about.Handle,
		Reason: about.Reason, Level: line.Level, Message: line.Message, Fields: line.Fields,
	}
	if lagged, ok := e.Event.(manager.Lagged); ok {
		out.Missed = lagged.Missed
	}
	return out
}

// Logs sends the last lines that workers have printed, and what they print and log.
func (f *runningFleet) Logs(ctx context.Context, q control.LogsQuery, send func(control.LogLine) error) error {
	var live *manager.Subscription
	if q.Follow {
		live = f.manager.Subscribe(streamBuffer)
		defer live.Close()
	}
	s := f.manager.Snapshot()
	sc := newScope(s, q.Function)
	sc.worker = q.Worker
	if q.Function != "" && len(sc.pools) == 0 {
		return f.answered(fmt.Errorf("show lines of %s: %w", q.Function, manager.ErrNoPool), q.Function)
	}
	workers := sc.workers(s)
	if q.Worker != "" && len(workers) == 0 {
		return &control.NotFoundError{Err: fmt.Errorf("show lines of %s: there is no such worker", q.Worker)}
	}
	printed := map[string][]string{}
	for _, w := range workers {
		lines := f.manager.LastLines(w.Worker)
		printed[w.Worker] = lines
		for _, text := range lines {
			w.Text = text
			if err := send(w); err != nil {
				return err
			}
		}
		for _, e := range f.manager.PastLogs(w.Worker) {
			if live != nil && e.Seq > live.After() {
				break
			}
			if err := sendLine(sc, e, send); err != nil {
				return err
			}
		}
	}
	if live == nil {
		return nil
	}
	early, err := f.early(ctx, live)
	if err != nil {
		return err
	}
	for _, e := range withoutRepeated(early, printed) {
		if err := sendLine(sc, e, send); err != nil {
			return err
		}
	}
	return follow(ctx, live, func(e manager.Stamped) error { return sendLine(sc, e, send) })
}

// workers are the workers of a scope, and places that wait for one, each once.
func (sc scope) workers(s manager.Snapshot) (out []control.LogLine) {
	seen := map[string]bool{}
	for _, p := range s.Pools {
		if !sc.has(p.Name) {
			continue
		}
		for _, w := range p.Workers {
			if seen[w.Name] || sc.worker != "" && w.Name != sc.worker {
				continue
			}
			seen[w.Name] = true
			out = append(out, control.LogLine{Pool: p.Name, Worker: w.Name, PID: w.PID})
		}
	}
	return out
}

// early are the events of a subscription so far.
func (f *runningFleet) early(ctx context.Context, live *manager.Subscription) (events []manager.Stamped, err error) {
	now := f.manager.Subscribe(1)
	last := now.After()
	now.Close()
	for at := live.After(); at < last; {
		e, err := live.Next(ctx)
		if errors.Is(err, manager.ErrEventsEnded) {
			return events, nil
		} else if err != nil {
			return nil, err
		}
		events = append(events, e)
		at = e.Seq
	}
	return events, nil
}

// withoutRepeated leaves out the lines that are among those that their worker printed
// last: the first ones may be.
func withoutRepeated(events []manager.Stamped, printed map[string][]string) []manager.Stamped {
	came := map[string][]string{}
	for _, e := range events {
		if p, ok := e.Event.(manager.WorkerPrinted); ok {
			came[p.Worker] = append(came[p.Worker], p.Line)
		}
	}
	repeated := map[string]int{}
	for worker, lines := range came {
		repeated[worker] = overlap(printed[worker], lines)
	}
	return slices.DeleteFunc(events, func(e manager.Stamped) bool {
		p, ok := e.Event.(manager.WorkerPrinted)
		if !ok || repeated[p.Worker] == 0 {
			return false
		}
		repeated[p.Worker]--
		return true
	})
}

// overlap is how many lines at the end of some are those at the start of others.
func overlap(past, next []string) int {
	for n := min(len(past), len(next)); n > 0; n-- {
		if slices.Equal(past[len(past)-n:], next[:n]) {
			return n
		}
	}
	return 0
}

// sendLine sends an event that is a line of a worker in the scope.
func sendLine(sc scope, e manager.Stamped, send func(control.LogLine) error) error {
	line, ok := controlLine(e)
	if _, lagged := e.Event.(manager.Lagged); !ok || !lagged && !sc.holds(e.Event) {
		return nil
	}
	if line.Pool == "" && line.Stream != control.NameLagged && (sc.function != "" || sc.worker != "") {
		return nil // of the process that they are all forked from
	}
	return send(line)
}

// controlLine makes a line of an event, if it is one.
func controlLine(e manager.Stamped) (line control.LogLine, ok bool) {
	about := e.Event.About()
	line = control.LogLine{Seq: e.Seq, At: e.At, Pool: about.Pool, Worker: about.Worker, PID: about.PID}
	logged := manager.LineOf(e.Event)
	line.Level = logged.Level
	switch event := e.Event.(type) {
	case manager.WorkerPrinted:
		line.Stream, line.Text = event.Stream, event.Line
	case manager.PHPPrinted:
		line.Stream, line.Text = event.Stream, event.Line
	case manager.WorkerLogged:
		line.Stream, line.Text, line.Fields = streamOf(event), logged.Message, logged.Fields
	case manager.LinesDropped:
		line.Stream, line.Text, line.Missed = control.NameLagged, logged.Message, event.Lines
	case manager.Lagged:
		line.Stream, line.Text, line.Missed = control.NameLagged, logged.Message, event.Missed
	default:
		return line, false
	}
	return line, true
}

// streamOf is the stream of a line that was logged: what executables print is logged with
// the job that they do.
func streamOf(e manager.WorkerLogged) string {
	attributes := e.Log.GetAttributes()
	for i := 0; i+1 < len(attributes); i += 2 {
		if key, value := attributes[i], attributes[i+1]; key == logging.FieldStream && (value == control.StreamStdout || value == control.StreamStderr) {
			return value
		}
	}
	return control.StreamLog
}
