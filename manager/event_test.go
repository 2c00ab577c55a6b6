package manager

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// everyEvent has an event of each type.
func everyEvent() []Event {
	return []Event{
		ProblemFound{},
		FleetStarted{},
		PoolNotRun{},
		PoolNotRun{Err: errors.New("x")},
		PHPFound{},
		PHPPrinted{},
		PHPSlow{},
		WorkerStarted{},
		WorkerReady{},
		StartFailed{},
		WorkerRetiring{},
		WorkerKilled{},
		WorkerExited{},
		JobSuspected{},
		JobUndelivered{},
		ServerLost{},
		ServerStillLost{},
		ServerReached{},
		SlotConnected{},
		SlotLost{},
		WorkerLogged{Log: &workerpb.Log{}},
		WorkerPrinted{},
		LeftoverFound{},
		LeftoverEnded{},
		OrphanReaped{},
		FleetStopping{},
		FleetStopped{},
		InternalError{},
		StandbyReady{},
		WorkerPromoted{},
		PoolFailed{},
		PoolRetried{},
		WorkerStopped{},
		WorkerContinued{},
		LinesDropped{},
		Lagged{},
		PluginInPlace{},
		RunInPlace{},
		StateNotKept{Dir: "/s", Err: errNoStart},
		StateKept{Dir: "/s"},
		StateSetAside{File: "/s/x", Err: errNoStart},
		SuspectsRemembered{Suspects: 1},
		ControlsRemembered{Scaled: map[string]int{"a": 1}},
		JobSlow{},
		PoolRolls{},
		PoolRollFailed{},
		PoolChanged{},
		Reloaded{},
		ChangedByHand{Names: []string{"a"}},
		ConfigRefused{},
		ConfigAccepted{},
		ProblemGone{},
		ServersChanged{},
		ScaleEnded{},
		WatchLost{},
	}
}

// TestEveryEventIsLogged: each type of event has a line, and the source has no type
// that is missing here.
func TestEveryEventIsLogged(t *testing.T) {
	t.Parallel()
	all := everyEvent()
	for _, e := range all {
		if logLine(t, zerolog.DebugLevel, e) == "" {
			t.Errorf("%T says nothing", e)
		}
		if logLine(t, zerolog.Disabled, e) != "" {
			t.Errorf("%T speaks where nothing is wanted", e)
		}
	}
	files, err := filepath.Glob("*event*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`(?m)^func \((?:e )?(\w+)\) Name\(\) string`)
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range known.FindAllStringSubmatch(string(source), -1) {
			found++
			if !slices.ContainsFunc(all, func(e Event) bool { return fmt.Sprintf("%T", e) == "manager."+m[1] }) {
				t.Errorf("the event %s is not in this test", m[1])
			}
		}
	}
	if found < len(all)-1 {
		t.Errorf("found %d types of events in the source", found)
	}
}

// TestEventNames: the name of an event is that of its type, in the case of log
// fields, so that no two are the same.
func TestEventNames(t *testing.T) {
	t.Parallel()
	words := regexp.MustCompile(`PHP|[A-Z][a-z]+`)
	for _, e := range everyEvent() {
		want := strings.ToLower(strings.Join(words.FindAllString(reflect.TypeOf(e).Name(), -1), "_"))
		if e.Name() != want {
			t.Errorf("%T is named %q, want %q", e, e.Name(), want)
		}
	}
}

// filled sets the fields of an event that say what it is about.
func filled(e Event) Event {
	v := reflect.New(reflect.TypeOf(e)).Elem()
	v.Set(reflect.ValueOf(e))
	for i := range v.NumField() {
		switch field := v.Field(i); v.Type().Field(i).Name {
		case "Worker":
			field.SetString("a/b/3")
		case "PID":
			field.SetInt(77)
		case "Pool":
			field.SetString("a/b")
		case "Function", "Server", "Handle":
			field.SetString("some " + v.Type().Field(i).Name)
		}
	}
	filled, _ := reflect.TypeAssert[Event](v)
	return filled
}

// TestEventsSayWhatTheyAreAbout: what an event knows of pool, worker, process and
// job is in its About, and in its line.
func TestEventsSayWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	for _, empty := range everyEvent() {
		e := filled(empty)
		a, v := reflect.ValueOf(e.About()), reflect.ValueOf(e)
		var line map[string]any
		if err := json.Unmarshal([]byte(logLine(t, zerolog.TraceLevel, e)), &line); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Pool", "Worker", "PID", "Function", "Server", "Handle"} {
			field := v.FieldByName(name)
			if !field.IsValid() {
				continue
			}
			if got := a.FieldByName(name); !got.Equal(field) {
				t.Errorf("%T is about the %s %v, want %v", e, name, got, field)
			}
			if got := line[strings.ToLower(name)]; fmt.Sprint(got) != fmt.Sprint(field) {
				t.Errorf("%T says the %s %v, want %v", e, name, got, field)
			}
		}
		if v.FieldByName("Worker").IsValid() && (e.About().Pool != "a/b" || line["pool"] != "a/b") {
			t.Errorf("%T is about the pool %q and says %q", e, e.About().Pool, line["pool"])
		}
	}
}

// TestEventReasons: events of which somebody will ask why say it.
func TestEventReasons(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, c := range []struct {
		event Event
		want  About
	}{
		{StartFailed{Worker: "wc/1", Err: broken}, About{Pool: "wc", Worker: "wc/1", Reason: "broken"}},
		{WorkerExited{Worker: "wc/1", Exit: supervisor.Exit{Code: 3}}, About{Pool: "wc", Worker: "wc/1", Reason: "exited with status 3"}},
		{WorkerExited{Worker: "wc/1", OOM: true}, About{Pool: "wc", Worker: "wc/1", Reason: "oom"}},
		{WorkerExited{Worker: "wc/1", Retired: "drain", Killed: "grace", OOM: true}, About{Pool: "wc", Worker: "wc/1", Reason: "grace"}},
		{WorkerExited{Worker: "wc/1", Retired: "max_runs"}, About{Pool: "wc", Worker: "wc/1", Reason: "max_runs"}},
		{WorkerKilled{Worker: "*/1", Reason: "timeout"}, About{Pool: "*", Worker: "*/1", Reason: "timeout"}},
		{PoolFailed{Pool: "*php", Err: broken}, About{Pool: "*php", Reason: "broken"}},
		{PoolNotRun{Pool: "wc"}, About{Pool: "wc"}},
		{InternalError{Where: "pool wc", Panic: "nil"}, About{Pool: "wc", Reason: "nil"}},
		{InternalError{Where: "control", Panic: "nil"}, About{Reason: "nil"}},
		{PHPSlow{Worker: "odd"}, About{Worker: "odd"}},
	} {
		if got := c.event.About(); got != c.want {
			t.Errorf("%T is about %+v, want %+v", c.event, got, c.want)
		}
	}
}
