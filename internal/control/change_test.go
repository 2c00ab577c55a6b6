package control_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// TestChanges: what is asked for is done, and told in words.
func TestChanges(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{}
	r := open(t, fleet)
	ctx := t.Context()
	report, err := r.client.Reload(ctx, control.ReloadRequest{Config: true, Code: true, Roll: true})
	want := control.ReloadReport{
		Changes:  []control.PoolChange{{Pool: "resize", What: []string{"count 2 → 6"}}},
		Problems: []control.Problem{{File: "c.ini", Line: 3, Severity: "error", Message: "oh"}}, Refused: true,
	}
	if diff := cmp.Diff(want, report); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if _, err := r.client.Reload(ctx, control.ReloadRequest{}); err != nil {
		t.Error(err)
	}
	for _, function := range []string{"f", ""} {
		if n, err := r.client.Restart(ctx, function); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	levels, err := r.client.SetLogLevel(ctx, control.LogLevelRequest{Function: "f", Verbosity: 3})
	if diff := cmp.Diff(control.LogLevels{Verbosity: 1, Functions: []control.FunctionLevel{{Function: "f", Verbosity: 3}}}, levels); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if again, err := r.client.LogLevels(ctx); err != nil || !cmp.Equal(again, levels) {
		t.Errorf("%v, %+v", err, again)
	}
	if _, err := r.client.SetLogLevel(ctx, control.LogLevelRequest{Verbosity: -1}); err != nil {
		t.Error(err)
	}
	if s, err := r.client.Stop(ctx); err != nil || s.Hurry != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, err := range []error{
		r.client.Scale(ctx, []control.Scaling{{Function: "a", Slots: 8}, {Function: "*", Slots: 0}}),
		r.client.Pause(ctx, "f"), r.client.Drain(ctx, "f"), r.client.Resume(ctx, "f"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	did := []string{
		"reload {Config:true Code:true Roll:true}", "reload {Config:false Code:false Roll:false}", `restart "f"`, `restart ""`,
		`log level "f" 3`, `log level "" -1`, "stop", "scale [{a 8} {* 0}]", "pause f", "drain f", "resume f",
	}
	if diff := cmp.Diff(did, fleet.done()); diff != "" {
		t.Error(diff)
	}
	told := []string{
		"POST /v1/reload (reload the config and programs that have changed, replace all workers): <nil>",
		"POST /v1/reload (reload new programs): <nil>",
		"POST /v1/restart (replace the workers of f): <nil>", "POST /v1/restart (replace all workers): <nil>",
		"POST /v1/log-level (set log level of f to 3): <nil>", "POST /v1/log-level (set log level of the fleet to what it would be): <nil>",
		"POST /v1/stop (stop): <nil>", "POST /v1/scale (scale a to 8, * to 0): <nil>",
		"POST /v1/pause (pause f): <nil>", "POST /v1/drain (drain f): <nil>", "POST /v1/resume (resume f): <nil>",
	}
	if diff := cmp.Diff(told, r.changes); diff != "" {
		t.Error(diff)
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{}
	r := open(t, fleet)
	if _, err := r.client.StatusOf(t.Context(), control.StatusQuery{Function: "a b&c", Memory: true}); err != nil {
		t.Error(err)
	}
	if want := []string{"status {Function:a b&c Memory:true}"}; !slices.Equal(fleet.done(), want) {
		t.Errorf("did %q", fleet.done())
	}
	why, err := r.client.Why(t.Context(), "a b")
	if err != nil || why.Function != "a b" || len(why.Reasons) != 1 || !why.Reasons[0].Blocks {
		t.Errorf("%+v, %v", why, err)
	}
	for _, err := range []error{
		second(r.client.StatusOf(t.Context(), control.StatusQuery{Function: "none"})), second(r.client.Why(t.Context(), "none")),
	} {
		if e, ok := errors.AsType[*control.AnswerError](err); !ok || e.Status != http.StatusNotFound || e.Message != "no such function" {
			t.Error(err)
		}
	}
	if len(r.changes) > 0 {
		t.Errorf("told %q", r.changes)
	}
}

// TestRequestsThatMakeNoSense do nothing.
func TestRequestsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	fleet := &fakeFleet{}
	r := open(t, fleet)
	for _, c := range [][3]string{
		{"GET", "/v1/status?rss=yes", "want 0 or 1"},
		{"GET", "/v1/status?functoin=f", "there is no parameter"},
		{"GET", "/v1/status?function=a&function=b", "function is there twice"},
		{"GET", "/v1/why", "no function is named"},
		{"GET", "/v1/events?since=-1", "want a number"},
		{"GET", "/v1/events?since=99999999999999999999", "want a number"},
		{"GET", "/v1/events?last=x", "want a number"},
		{"GET", "/v1/events?follow=true", "want 0 or 1"},
		{"GET", "/v1/events?worker=f/1", "not asked for by worker"},
		{"GET", "/v1/logs?follow=2", "want 0 or 1"},
		{"GET", "/v1/logs?last=2", "have no numbers"},
		{"POST", `/v1/reload {"config": 1}`, "read request"},
		{"POST", `/v1/reload {"everything": true}`, "unknown field"},
		{"POST", `/v1/restart {}`, "no function is named"},
		{"POST", `/v1/restart {"function": "f", "all": true}`, "exclude each other"},
		{"POST", `/v1/scale {}`, "nothing is to be scaled"},
		{"POST", `/v1/scale {"scalings": [{"function": "f"}]}`, `f: want \"slots\" of 0 or more`},
		{"POST", `/v1/scale {"scalings": [{"function": "f", "slots": -1}]}`, `want \"slots\"`},
		{"POST", `/v1/scale {"scalings": [{"function": "f", "slots": 1.5}]}`, "read request"},
		{"POST", `/v1/scale {"scalings": [{"slots": 1}]}`, "no function is named"},
		{"POST", `/v1/scale {"scalings": [{"function": "f", "slots": 1}, {"function": "f", "slots": 2}]}`, "f is named twice"},
		{"POST", `/v1/pause {}`, "no function is named"},
		{"POST", `/v1/drain {"function": ["f"]}`, "read request"},
		{"POST", `/v1/resume`, "read request"},
		{"POST", `/v1/log-level {}`, "want"},
		{"POST", `/v1/log-level {"verbosity": 6}`, "of 0 to 5"},
		{"POST", `/v1/log-level {"verbosity": -2}`, "of 0 to 5"},
		{"POST", `/v1/stop {"now": true}`, "want no body"},
		{"POST", `/v1/stop ` + strings.Repeat("x", 100_000), "too large"},
	} {
		path, body, _ := strings.Cut(c[1], " ")
		request, err := http.NewRequestWithContext(t.Context(), c[0], path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		request.Host, request.Close = "x", true
		if err := request.Write(&text); err != nil {
			t.Fatal(err)
		}
		got := r.raw(t, text.String())
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, c[2]) {
			t.Errorf("%s %.100s: %.300s, want 400 and %s", c[0], c[1], got, c[2])
		}
	}
	if did := fleet.done(); len(did) > 0 {
		t.Errorf("did %q", did)
	}
}

// TestWireIsStable: names of fields are a promise to scripts.
func TestWireIsStable(t *testing.T) {
	t.Parallel()
	for want, value := range map[string]any{
		`{"seq":1,"at":"0001-01-01T00:00:00Z","name":"n","level":"info","message":"m","fields":null}`: control.Event{Seq: 1, Name: "n", Level: "info", Message: "m"},
		`{"pool":"p","worker":"p/1","text":"x"}`:                                                      control.LogLine{Pool: "p", Worker: "p/1", Text: "x"},
		`{"server":"a:1","queued":null,"running":null,"workers":null,"error":"e"}`:                    control.Queue{Server: "a:1", Error: "e"},
		`{"code":"paused","message":"m","blocks":true}`:                                               control.Reason{Code: "paused", Message: "m", Blocks: true},
		`{"problems":null,"refused":false,"polling":""}`:                                              control.Reload{},
		`{"file":"","line":0,"section":"","key":"","severity":"error","message":""}`:                  control.Problem{Severity: "error"},
		`{"scalings":[{"function":"f","slots":0}]}`:                                                   control.ScaleRequest{Scalings: []control.Scaling{{Function: "f"}}},
		`{"verbosity":1,"functions":null}`:                                                            control.LogLevels{Verbosity: 1},
		`{"name":"","pid":0,"state":"","slots":0,"ready":0,"servers":0,"stopped":false,"done":null,"failed":null,"restarts":0,"version":"","hash":"","outdated":false,"rss_bytes":null,"jobs":null}`: control.Worker{},
	} {
		got, err := json.Marshal(value)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}
