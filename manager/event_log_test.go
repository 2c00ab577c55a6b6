package manager

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// logLine is what an event makes of a logger of that level.
func logLine(t *testing.T, level zerolog.Level, e Event) string {
	t.Helper()
	var out bytes.Buffer
	e.log(zerolog.New(&out).Level(level))
	text := strings.TrimSpace(out.String())
	if text != "" && !json.Valid([]byte(text)) {
		t.Errorf("%T is no JSON: %s", e, text)
	}
	return text
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	exit := supervisor.Exit{PID: 7, Code: -1, Signal: syscall.SIGSEGV}
	for _, c := range []struct {
		event Event
		want  string
	}{
		{
			WorkerExited{
				Worker: "resize/3", PID: 7, Exit: exit, Uptime: time.Second, Done: 5, Failed: 1, Wait: 100 * time.Millisecond,
				InHand: []JobInHand{{Function: "resize", Server: "a:1", Handle: "H:a:1", Since: 1500 * time.Millisecond}}, Tail: []string{"panic: x", "goroutine 1"},
			},
			`{"level":"warn","pool":"resize","worker":"resize/3","pid":7,"exit":"killed by SIGSEGV","signal":11,"uptime_ms":1000,"jobs_done":5,"jobs_failed":1,"jobs_in_hand":["resize H:a:1 on a:1 for 1.5s"],"next_try_in_ms":100,"stderr":"panic: x\ngoroutine 1","message":"worker crashed"}`,
		},
		{
			WorkerPrinted{Worker: "resize/3", Stream: host.Stderr, Line: "PHP Warning:  no file in r.php on line 3"},
			`{"level":"warn","pool":"resize","worker":"resize/3","stream":"stderr","message":"PHP Warning:  no file in r.php on line 3"}`,
		},
		{
			WorkerPrinted{Worker: "resize/3", Stream: host.Stderr, Line: "PHP Fatal error:  Allowed memory size"},
			`{"level":"error","pool":"resize","worker":"resize/3","stream":"stderr","message":"PHP Fatal error:  Allowed memory size"}`,
		},
		{
			WorkerPrinted{Worker: "resize/3", Stream: host.Stdout, Line: "PHP Warning:  echoed"},
			`{"level":"info","pool":"resize","worker":"resize/3","stream":"stdout","message":"PHP Warning:  echoed"}`,
		},
		{
			PHPSlow{Worker: "resize/3", Path: "/w/resize.php", After: 5 * time.Second, Limit: time.Minute},
			`{"level":"warn","pool":"resize","worker":"resize/3","file":"/w/resize.php","after_ms":5000,"limit_ms":60000,"message":"worker file takes long to load"}`,
		},
		{
			WorkerExited{Worker: "resize/3", PID: 7, Retired: "max_runs"},
			`{"level":"info","pool":"resize","worker":"resize/3","pid":7,"exit":"exited with status 0","exit_code":0,"reason":"max_runs","uptime_ms":0,"jobs_done":0,"jobs_failed":0,"message":"worker left"}`,
		},
		{
			StartFailed{Worker: "resize/3", Err: errors.New("no interpreter"), Failures: 3, Wait: time.Second},
			`{"level":"error","pool":"resize","worker":"resize/3","error":"no interpreter","failures":3,"next_try_in_ms":1000,"message":"worker did not start"}`,
		},
		{
			ProblemFound{config.Problem{File: "c.ini", Line: 3, Section: "wc", Key: "count", Severity: config.Error, Message: "is none"}},
			`{"level":"error","file":"c.ini","line":3,"section":"wc","key":"count","detail":"is none","message":"problem found"}`,
		},
		{
			LeftoverEnded{Worker: "wc/1", PID: 7, Killed: true},
			`{"level":"info","pool":"wc","worker":"wc/1","pid":7,"killed":true,"message":"worker of an earlier manager ended"}`,
		},
		{
			WorkerLogged{Worker: "wc/1", Log: &workerpb.Log{
				Level: 4, Message: "slow", Function: "wc", Handle: "H:a:1", Attributes: []string{"rows", "7", "worker", "mine", "odd"},
			}},
			`{"level":"warn","pool":"wc","worker":"wc/1","function":"wc","handle":"H:a:1","rows":"7","worker_worker":"mine","message":"slow"}`,
		},
		{
			WorkerPrinted{Worker: "wc/1", Stream: host.Stderr, Line: `{"level":"ERROR","msg":"broken","time":"now","b":1,"a":[2]}`},
			`{"level":"error","pool":"wc","worker":"wc/1","stream":"stderr","a":[2],"b":1,"message":"broken"}`,
		},
		{
			WorkerPrinted{Worker: "wc/1", Stream: host.Stderr, Line: `{"level":"fatal","message":"x"}`},
			`{"level":"info","pool":"wc","worker":"wc/1","stream":"stderr","message":"x"}`,
		},
		{
			WorkerPrinted{Worker: "wc/1", Stream: host.Stdout, Line: `{"level":"error"}`},
			`{"level":"info","pool":"wc","worker":"wc/1","stream":"stdout","message":"{\"level\":\"error\"}"}`,
		},
		{WorkerPrinted{Worker: "wc/1", Stream: host.Stderr, Line: "{no"}, `{"level":"info","pool":"wc","worker":"wc/1","stream":"stderr","message":"{no"}`},
	} {
		if diff := cmp.Diff(c.want, logLine(t, zerolog.TraceLevel, c.event)); diff != "" {
			t.Errorf("%T: %s", c.event, diff)
		}
	}
}

// TestAlwaysSaid: that the fleet comes and goes is said without -v too, that its
// workers do is not.
func TestAlwaysSaid(t *testing.T) {
	t.Parallel()
	for _, e := range []Event{FleetStarted{}, FleetStopping{}, FleetStopped{}} {
		if logLine(t, zerolog.WarnLevel, e) == "" {
			t.Errorf("%T is not said", e)
		}
	}
	if line := logLine(t, zerolog.WarnLevel, WorkerReady{}); line != "" {
		t.Error(line)
	}
}

func TestConnError(t *testing.T) {
	t.Parallel()
	const server = "127.0.0.1:4730"
	for text, want := range map[string]string{
		"connect to job server 127.0.0.1:4730: dial tcp 127.0.0.1:4730: connect: connection refused": "connection refused",
		"connect to job server 127.0.0.1:4730: dial tcp: lookup q.invalid: no such host":             "dial tcp: lookup q.invalid: no such host",
		"connect to job server 10.0.0.1:4730: dial tcp 10.0.0.1:4730: i/o timeout":                   "connect to job server 10.0.0.1:4730: dial tcp 10.0.0.1:4730: i/o timeout",
		"EOF": "the other side closed the connection",
		"":    "",
	} {
		if got := connError(server, text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
