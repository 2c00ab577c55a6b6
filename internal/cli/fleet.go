package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/manager"
)

// controlName is the name of the control socket in a manager's runtime directory. Where
// the config names another place, it is a link that leads there.
const controlName = "control"

// openFleetControl lets others talk to the manager; stop begins to stop it. Without a
// socket the fleet runs as well: the server is nil then, which is logged. Only that another
// process answers at the socket that the config names is an error: it is a manager that
// runs already.
func openFleetControl(ctx context.Context, m *manager.Manager, cfg *config.Config, log zerolog.Logger, stop func()) (*control.Server, error) {
	own := filepath.Join(m.Dir(), controlName)
	c := control.Config{
		Path: cmp.Or(cfg.ControlSocket(), own), Owner: cfg.ControlOwner(), Group: cfg.ControlGroup(),
		Fleet: newRunningFleet(m, cfg, stop), OnChange: func(c control.Change) { logChange(log, c) },
	}
	server, err := control.Open(ctx, c)
	if held, ok := errors.AsType[*control.SocketError](err); ok && held.InUse {
		return nil, err
	}
	if err != nil && (c.Path != own || c.Owner != "" || c.Group != "") {
		log.Error().Err(err).Str(logging.FieldDetail, "only the user of the manager and root can talk to it").Msg("control socket not opened as configured")
		c.Path, c.Owner, c.Group = own, "", ""
		server, err = control.Open(ctx, c)
	}
	if err != nil {
		log.Warn().Err(err).Str(logging.FieldDetail, "the fleet runs, and no command can reach it").Msg("control socket not opened")
		return nil, nil //nolint:nilnil // it goes without
	}
	if c.Path != own {
		if err := os.Symlink(c.Path, own); err != nil {
			log.Warn().Err(err).Str(logging.FieldDetail, "commands have to be told where it is: --socket "+c.Path).Msg("control socket not linked")
		}
	}
	return server, nil
}

// logChange logs who changes something, at every verbosity.
func logChange(log zerolog.Logger, c control.Change) {
	log = loud(log)
	level := zerolog.InfoLevel
	if c.Err != nil {
		level = zerolog.WarnLevel
	}
	log.WithLevel(level).Err(c.Err).Str(logging.FieldRequest, c.Request).Func(func(line *zerolog.Event) {
		if c.What != "" {
			line.Str(logging.FieldDetail, c.What)
		}
	}).Int(logging.FieldUID, c.Peer.UID).Int(logging.FieldGID, c.Peer.GID).Int(logging.FieldPID, c.Peer.PID).Msg("control request")
}

// runningFleet answers the control socket.
type runningFleet struct {
	manager *manager.Manager
	self    control.Manager
	end     func() // begins to stop

	mu    sync.Mutex
	ends  bool // it was called
	hurry int
}

func newRunningFleet(m *manager.Manager, cfg *config.Config, end func()) *runningFleet {
	return &runningFleet{manager: m, end: end, self: control.Manager{
		PID: os.Getpid(), Version: Version(), Config: absolute(cfg.File()), Dir: m.Dir(), Started: time.Now(),
	}}
}

// absolute makes a path absolute that is not empty.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// answered makes the error of the manager one that says what it means to whoever asked
// about functions, or pools, of these names.
func (f *runningFleet) answered(err error, names ...string) error {
	_, missing := errors.AsType[*manager.NotSuspectError](err)
	switch {
	case errors.Is(err, manager.ErrNoPool):
		return &control.NotFoundError{Err: f.hinted(err, names)}
	case missing:
		return &control.NotFoundError{Err: err}
	default:
		return err
	}
}

// hinted adds to an error what may have been meant instead of the first name that is
// nobody's.
func (f *runningFleet) hinted(err error, names []string) error {
	var known []string
	for _, p := range f.manager.Snapshot().Pools {
		known = append(append(known, p.Name), p.Functions...)
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		if near := config.Nearest(name, known); near != "" {
			return fmt.Errorf("%w (did you mean %s?)", err, near)
		}
		break
	}
	return err
}

// Manager says who it is.
func (f *runningFleet) Manager() control.Manager { return f.self }

// Quarantine lists suspect jobs.
func (f *runningFleet) Quarantine() []control.SuspectJob {
	var out []control.SuspectJob
	for _, j := range f.manager.Quarantine() {
		out = append(out, control.SuspectJob{
			Server: j.Server, Function: j.Function, Handle: j.Handle, Unique: j.Unique, Attempts: j.Attempts,
			Quarantined: j.Quarantined, Cause: j.Cause, Worker: j.Worker, First: j.First, Last: j.Last,
		})
	}
	return out
}

// Release releases jobs.
func (f *runningFleet) Release(ctx context.Context, server, handle string) (int, error) {
	n, err := f.manager.ReleaseJob(ctx, server, handle)
	return n, f.answered(err)
}

// ReleaseAll releases all jobs.
func (f *runningFleet) ReleaseAll(ctx context.Context) int { return f.manager.ReleaseAllJobs(ctx) }

// Retry starts workers of a function now.
func (f *runningFleet) Retry(function string) error {
	return f.answered(f.manager.Retry(function), function)
}

// Reload applies what has changed.
func (f *runningFleet) Reload(ctx context.Context, req control.ReloadRequest) (control.ReloadReport, error) {
	report, err := f.manager.Reload(ctx, manager.ReloadRequest{Config: req.Config, Code: req.Code, Roll: req.Roll})
	out := control.ReloadReport{Changes: []control.PoolChange{}, Problems: controlProblems(report.Problems), Refused: report.Refused}
	for _, c := range report.Changes {
		out.Changes = append(out.Changes, control.PoolChange{Pool: c.Pool, What: append([]string{}, c.What...)})
	}
	return out, err
}

// Restart replaces workers.
func (f *runningFleet) Restart(ctx context.Context, function string) (int, error) {
	n, err := f.manager.Restart(ctx, function)
	return n, f.answered(err, function)
}

// Scale sets numbers of slots.
func (f *runningFleet) Scale(ctx context.Context, scalings []control.Scaling) error {
	all := make([]manager.Scaling, 0, len(scalings))
	names := make([]string, 0, len(scalings))
	for _, s := range scalings {
		all, names = append(all, manager.Scaling{Function: s.Function, Slots: s.Slots}), append(names, s.Function)
	}
	return f.answered(f.manager.Scale(ctx, all), names...)
}

// Pause has workers take no jobs of a function.
func (f *runningFleet) Pause(ctx context.Context, function string) error {
	return f.answered(f.manager.Pause(ctx, function), function)
}

// Drain has the workers of a function leave.
func (f *runningFleet) Drain(ctx context.Context, function string) error {
	return f.answered(f.manager.Drain(ctx, function), function)
}

// Resume ends both.
func (f *runningFleet) Resume(ctx context.Context, function string) error {
	return f.answered(f.manager.Resume(ctx, function), function)
}

// SetLogLevel sets how much is logged.
func (f *runningFleet) SetLogLevel(ctx context.Context, function string, verbosity int) error {
	return f.answered(f.manager.SetLogLevel(ctx, function, verbosity), function)
}

// LogLevels says how much is logged.
func (f *runningFleet) LogLevels() control.LogLevels {
	l := f.manager.LogLevels()
	out := control.LogLevels{Verbosity: l.Verbosity, Functions: []control.FunctionLevel{}}
	for _, name := range slices.Sorted(maps.Keys(l.Functions)) {
		out.Functions = append(out.Functions, control.FunctionLevel{Function: name, Verbosity: l.Functions[name]})
	}
	return out
}

// errNoEnd is the error of a fleet that was not told how to stop.
var errNoEnd = errors.New("internal error: this manager is stopped by a signal only")

// Stop begins to stop, and hurries from the second call on.
func (f *runningFleet) Stop() (hurry int, err error) {
	if f.end == nil {
		return 0, errNoEnd
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ends {
		f.ends = true
		f.end()
		return 0, nil
	}
	f.hurry++
	f.manager.Hurry()
	return f.hurry, nil
}

// Why says what holds a function back.
func (f *runningFleet) Why(ctx context.Context, function string) (control.Why, error) {
	w, err := f.manager.Why(ctx, function)
	if err != nil {
		return control.Why{}, f.answered(err) // it has a hint of its own
	}
	out := control.Why{
		Function: w.Function, At: w.At, Pools: append([]string{}, w.Pools...), Reasons: []control.Reason{}, Servers: []control.Queue{},
	}
	for _, r := range w.Reasons {
		out.Reasons = append(out.Reasons, control.Reason{Code: string(r.Code), Message: r.Message, Blocks: r.Blocks})
	}
	for _, q := range w.Queues {
		if q.Err != nil {
			out.Servers = append(out.Servers, control.Queue{Server: q.Server, Error: q.Err.Error()})
			continue
		}
		out.Queued, out.Running = sum(out.Queued, q.Queued), sum(out.Running, q.Running)
		out.Servers = append(out.Servers, control.Queue{Server: q.Server, Queued: &q.Queued, Running: &q.Running, Workers: &q.Workers})
	}
	return out, nil
}

// sum adds to a number that may not be known yet.
func sum(total *int, n int) *int {
	if total != nil {
		n += *total
	}
	return &n
}
