package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// aFleet is a manager that notes what it is asked to do.
type aFleet struct {
	self   control.Manager
	status control.Status
	report control.ReloadReport

	mu     sync.Mutex
	asked  []string
	levels control.LogLevels
	ended  chan struct{} // closed by Stop
}

// startFleet answers at a socket until the end of the test.
func startFleet(t *testing.T) (f *aFleet, socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli") //nolint:usetesting // that of a test with a long name is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	now := time.Now()
	rss := int64(12_900_000)
	f = &aFleet{ended: make(chan struct{}), self: control.Manager{PID: 7, Started: now.Add(-time.Hour)}}
	f.status = control.Status{At: now, Pools: []control.Pool{
		{Name: "resize", Kind: "plugin", Functions: []string{"resize"}, Slots: 2, Runs: true, Version: "1.4", Hash: "3f2a9b1c77", Origin: "dedicated_count", Workers: []control.Worker{
			{Name: "resize/1", PID: 70, State: "ready", Slots: 1, Ready: 1, RSSBytes: &rss, Hash: "3f2a9b1c77", Jobs: []control.Job{{Function: "resize", Handle: "H:a:1", ForMS: 130_500}}},
			{Name: "resize/2", PID: 71, State: "ready", Slots: 1, Ready: 1, Outdated: true, Version: "1.3"},
		}},
		{Name: "*", Shared: true, Kind: "exec", Functions: []string{"echo", "sum"}, Slots: 3, Runs: true, Workers: []control.Worker{
			{Name: "*/1", PID: 72, State: "ready", Slots: 3, Ready: 3},
		}},
	}}
	socket = filepath.Join(dir, "control")
	server, err := control.Open(t.Context(), control.Config{Path: socket, Fleet: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return f, socket
}

// note notes a request, and is the error for a function that there is not.
func (f *aFleet) note(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	for _, arg := range args {
		if arg == "nothing" {
			return &control.NotFoundError{Err: errors.New("no pool performs nothing")}
		}
	}
	return nil
}

// took returns what was asked since the last time.
func (f *aFleet) took() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := strings.Join(f.asked, ", ")
	f.asked = nil
	return asked
}

func (f *aFleet) Manager() control.Manager { return f.self }

func (f *aFleet) Status(q control.StatusQuery) (control.Status, error) {
	s := f.status
	s.Manager = f.self
	if q.Function != "" {
		s.Pools = s.Pools[:1]
	}
	return s, f.note("status %s %v", q.Function, q.Memory)
}

func (f *aFleet) Why(_ context.Context, function string) (control.Why, error) {
	queued := 12
	return control.Why{
		Function: function, Reasons: []control.Reason{{Code: "paused", Message: "it is paused", Blocks: true}, {Code: "limit", Message: "all slots\x1b are busy"}},
		Servers: []control.Queue{{Server: "a:4730", Queued: &queued}, {Server: "b:4730", Error: "refused"}},
	}, f.note("why %s", function)
}

func (f *aFleet) LogLevels() control.LogLevels {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.levels
}

func (f *aFleet) Quarantine() []control.SuspectJob {
	return []control.SuspectJob{{Handle: "H:a:1", Function: "resize"}}
}

func (f *aFleet) Release(_ context.Context, server, handle string) (int, error) {
	return 1, f.note("release %s %s", server, handle)
}

func (f *aFleet) ReleaseAll(context.Context) int { return 2 }

func (f *aFleet) Retry(function string) error { return f.note("retry %s", function) }

func (f *aFleet) Reload(_ context.Context, req control.ReloadRequest) (control.ReloadReport, error) {
	return f.report, f.note("reload %v %v %v", req.Config, req.Code, req.Roll)
}

func (f *aFleet) Restart(_ context.Context, function string) (int, error) {
	return 3, f.note("restart %s", function)
}

func (f *aFleet) Scale(_ context.Context, scalings []control.Scaling) error {
	return f.note("scale %v", scalings)
}

func (f *aFleet) Pause(_ context.Context, function string) error {
	return f.note("pause %s", function)
}

func (f *aFleet) Drain(_ context.Context, function string) error {
	return f.note("drain %s", function)
}

func (f *aFleet) Resume(_ context.Context, function string) error {
	return f.note("resume %s", function)
}

func (f *aFleet) SetLogLevel(_ context.Context, function string, verbosity int) error {
	if err := f.note("level %s %d", function, verbosity); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if function == "" {
		f.levels.Verbosity = verbosity
	} else {
		f.levels.Functions = []control.FunctionLevel{{Function: function, Verbosity: verbosity}}
	}
	return nil
}

func (f *aFleet) Stop() (int, error) {
	close(f.ended)
	return 0, f.note("stop")
}

func (f *aFleet) Events(ctx context.Context, q control.EventsQuery, send func(control.Event) error) error {
	if err := f.note("events %d %s %v", q.Since, q.Function, q.Follow); err != nil {
		return err
	}
	err := send(control.Event{
		Seq: 5, At: time.Unix(1_700_000_000, 0).UTC(), Name: "worker_ready", Level: "info", Message: "worker ready",
		Fields: map[string]json.RawMessage{"worker": json.RawMessage(`"resize/1"`)},
	})
	if err != nil || !q.Follow {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.ended:
		return nil
	}
}

func (f *aFleet) Logs(_ context.Context, q control.LogsQuery, send func(control.LogLine) error) error {
	if err := f.note("logs %s %s", q.Function, q.Worker); err != nil {
		return err
	}
	if q.Worker == "odd/1" {
		return &control.NotFoundError{Err: errors.New("no such worker")}
	}
	return errors.Join(
		send(control.LogLine{Pool: "resize", Worker: "resize/1", Text: "from\tbefore\x1b[2J"}),
		send(control.LogLine{Pool: "resize", Worker: "resize/1", At: time.Now(), Stream: control.StreamLog, Level: "warn", Text: "hot"}),
		send(control.LogLine{Stream: control.NameLagged, Missed: 3}),
	)
}
