package manager

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestLevels: what is said of a function counts before what is said of its pool, and
// that before the fleet's.
func TestLevels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  func(l *levels)
		want string // the messages of the events below
	}{
		"as the logger has it": {func(*levels) {}, "worker ready resize/1, worker ready */1"},
		"the fleet, more":      {func(l *levels) { l.change("", 2) }, "worker started resize/1, worker ready resize/1, worker started */1, worker ready */1, done */1"},
		"the fleet, less":      {func(l *levels) { l.change("", 0) }, ""},
		"the fleet, and back": {func(l *levels) {
			l.change("", 0)
			l.change("", -1)
		}, "worker ready resize/1, worker ready */1"},
		"a config read again": {func(l *levels) { l.configured(0) }, ""},
		"that, and by hand": {func(l *levels) {
			l.change("", 1)
			l.configured(0)
		}, "worker ready resize/1, worker ready */1"},
		"a pool, more": {func(l *levels) { l.change("resize", 3) }, "worker started resize/1, worker ready resize/1, worker ready */1"},
		"a pool, less": {func(l *levels) { l.change("resize", 0) }, "worker ready */1"},
		"a pool, and back": {func(l *levels) {
			l.change("resize", 0)
			l.change("resize", -1)
		}, "worker ready resize/1, worker ready */1"},
		"a function of a shared pool": {func(l *levels) { l.change("thumb", 3) }, "worker ready resize/1, worker ready */1, done */1"},
		"function before pool": {func(l *levels) {
			l.change("*", 0)
			l.change("thumb", 3)
		}, "worker ready resize/1, done */1"},
	} {
		var out bytes.Buffer
		s := newStream(zerolog.New(&out).Level(zerolog.InfoLevel), nil, 10)
		c.set(&s.levels)
		for _, worker := range []string{"resize/1", "*/1"} {
			s.emit(WorkerStarted{Worker: worker})
			s.emit(WorkerReady{Worker: worker})
		}
		s.emit(WorkerLogged{Worker: "*/1", Log: &workerpb.Log{Function: "thumb", Message: "done", Level: -4}})
		var got []string
		for line := range strings.Lines(out.String()) {
			message := strings.TrimSuffix(line[strings.Index(line, `"message":"`)+11:], "\"}\n")
			worker, _, _ := strings.Cut(line[strings.Index(line, `"worker":"`)+10:], `"`)
			got = append(got, message+" "+worker)
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

// TestVerbosityOfWorkers: those of a shared pool say as much as any of its functions is
// to say.
func TestVerbosityOfWorkers(t *testing.T) {
	t.Parallel()
	shared := &PoolPlan{Name: "*", Shared: true, Functions: []FunctionPlan{{Name: "a"}, {Name: "b"}}}
	own := &PoolPlan{Name: "c", Functions: []FunctionPlan{{Name: "c"}}}
	for _, c := range []struct {
		set                   map[string]int
		wantShared, wantOwned int
	}{
		{nil, 1, 1},
		{map[string]int{"": 4}, 4, 4},
		{map[string]int{"": 0}, 0, 0},
		{map[string]int{"a": 3, "b": 2}, 3, 1},
		{map[string]int{"a": 0}, 1, 1},
		{map[string]int{"a": 3, "*": 2}, 2, 1},
		{map[string]int{"": 2, "c": 0}, 2, 0},
	} {
		var l levels
		for name, verbosity := range c.set {
			l.change(name, verbosity)
		}
		if got := [2]int{l.current().of(shared, 1), l.current().of(own, 1)}; got != [2]int{c.wantShared, c.wantOwned} {
			t.Errorf("%v: %v", c.set, got)
		}
	}
}

// TestSetLogLevel is about a manager without workers.
func TestSetLogLevel(t *testing.T) {
	m, _ := stateManager(t, t.TempDir())
	defer stopNow(t, m)
	for _, verbosity := range []int{-2, logging.MaxVerbosity + 1} {
		err := m.SetLogLevel(t.Context(), "", verbosity)
		if _, ok := errors.AsType[*VerbosityError](err); !ok {
			t.Errorf("%d: %v", verbosity, err)
		}
	}
	if err := m.SetLogLevel(t.Context(), "nobody", 1); !errors.Is(err, ErrNoPool) {
		t.Error(err)
	}
	if err := m.SetLogLevel(t.Context(), "nobody", -1); err != nil {
		t.Errorf("what is gone may be taken back: %v", err)
	}
	before := m.LogLevels()
	if err := m.SetLogLevel(t.Context(), "", 4); err != nil || m.LogLevels().Verbosity != 4 || before.Verbosity != 0 {
		t.Errorf("%v, %+v before, %+v", err, before, m.LogLevels())
	}
	if err := m.SetLogLevel(t.Context(), "", -1); err != nil || !cmp.Equal(m.LogLevels(), before) {
		t.Errorf("%v, %+v", err, m.LogLevels())
	}
}

// TestLineOf: the line of every event, as the log has it.
func TestLineOf(t *testing.T) {
	t.Parallel()
	line := LineOf(WorkerReady{Worker: "f/1", PID: 7, Version: "<v>"})
	want := map[string]string{"pool": `"f"`, "worker": `"f/1"`, "pid": "7", "version": `"<v>"`, "took_ms": "0"}
	got := map[string]string{}
	for key, value := range line.Fields {
		got[key] = string(value)
	}
	if diff := cmp.Diff(want, got); diff != "" || line.Level != "info" || line.Message != "worker ready" {
		t.Errorf("%s %s: %s", line.Level, line.Message, diff)
	}
	for _, e := range everyEvent() {
		if line := LineOf(e); line.Message == "" && e.Name() != "worker_logged" && e.Name() != "worker_printed" {
			t.Errorf("%T: %+v", e, line)
		}
	}
}
