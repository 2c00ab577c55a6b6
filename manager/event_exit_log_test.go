package manager

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// TestExitLines: the line of an end says whether it was planned, how it ended, how
// much it did, and when there is another.
func TestExitLines(t *testing.T) {
	t.Parallel()
	killed := supervisor.Exit{Code: -1, Signal: syscall.SIGKILL, MaxRSS: 50 << 20}
	for _, c := range []struct {
		name  string
		event WorkerExited
		want  string
	}{
		{
			"out of memory",
			WorkerExited{Worker: "wc/1", PID: 7, Exit: killed, OOM: true, Uptime: time.Minute, Done: 2},
			`{"level":"warn","pool":"wc","worker":"wc/1","pid":7,"exit":"killed by SIGKILL","signal":9,"oom":true,"detail":"the kernel killed it because memory was short","rss_bytes":52428800,"uptime_ms":60000,"jobs_done":2,"jobs_failed":0,"next_try_in_ms":0,"message":"worker crashed"}`,
		},
		{
			"too large",
			WorkerExited{Worker: "wc/1", PID: 7, Retired: retireMemory, Exit: supervisor.Exit{MaxRSS: 1}, RSS: 100, ReplacedBy: "wc/3"},
			`{"level":"info","pool":"wc","worker":"wc/1","pid":7,"exit":"exited with status 0","exit_code":0,"reason":"max_memory","rss_bytes":100,"uptime_ms":0,"jobs_done":0,"jobs_failed":0,"replaced_by":"wc/3","message":"worker left"}`,
		},
		{
			"killed while it left",
			WorkerExited{Worker: "wc/1", PID: 7, Exit: killed, Retired: "stop", Killed: "grace", Final: true},
			`{"level":"info","pool":"wc","worker":"wc/1","pid":7,"exit":"killed by SIGKILL","signal":9,"reason":"stop","killed":"grace","rss_bytes":52428800,"uptime_ms":0,"jobs_done":0,"jobs_failed":0,"message":"killed worker ended"}`,
		},
		{
			"counts are not known",
			WorkerExited{Worker: "wc/1", PID: 7, Exit: supervisor.Exit{Code: 255}, CountsUnknown: true, Wait: time.Second},
			`{"level":"warn","pool":"wc","worker":"wc/1","pid":7,"exit":"exited with status 255","exit_code":255,"uptime_ms":0,"jobs_done":"unknown","jobs_failed":"unknown","next_try_in_ms":1000,"message":"worker crashed"}`,
		},
	} {
		if diff := cmp.Diff(c.want, logLine(t, zerolog.TraceLevel, c.event)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestExitClasses: what the manager did counts before what the worker had decided.
func TestExitClasses(t *testing.T) {
	t.Parallel()
	for want, events := range map[string][]WorkerExited{
		ExitPlanned: {{Retired: "max_runs"}, {Retired: "it left", Exit: supervisor.Exit{Code: 1}}},
		ExitCrash:   {{}, {Exit: supervisor.Exit{Code: 1}}, {OOM: true}},
		ExitKilled:  {{Killed: "timeout"}, {Killed: "grace", Retired: "stop"}},
	} {
		for _, e := range events {
			if e.Class() != want || e.Crashed() != (want == ExitCrash) {
				t.Errorf("%+v is of class %q and crashed: %v; want %q", e, e.Class(), e.Crashed(), want)
			}
		}
	}
}

// TestOneLineForAnAttempt: whichever way an attempt to run a worker fails, it is one
// line without -v.
func TestOneLineForAnAttempt(t *testing.T) {
	t.Parallel()
	const fatal = "PHP Fatal error:  Uncaught Error in /w/wc.php:3"
	for name, events := range map[string][]Event{
		"it cannot be executed": {
			StartFailed{Worker: "wc/1", Err: errors.New("no such file"), Failures: 1},
		},
		"it ends while it starts": {
			WorkerStarted{Worker: "wc/1", PID: 7},
			WorkerPrinted{Worker: "wc/1", PID: 7, Stream: "stderr", Line: fatal, Starting: true},
			WorkerPrinted{Worker: "wc/1", PID: 7, Stream: "stderr", Line: "panic: no config", Starting: true},
			StartFailed{Worker: "wc/1", PID: 7, Err: errors.New("it exited with status 255: " + fatal), Failures: 7},
		},
		"it ends when it is ready": {
			WorkerStarted{Worker: "wc/1", PID: 7},
			WorkerReady{Worker: "wc/1", PID: 7},
			SlotConnected{Worker: "wc/1", PID: 7},
			WorkerPrinted{Worker: "wc/1", PID: 7, Stream: "stderr", Line: "panic: no config"},
			SlotLost{Worker: "wc/1", PID: 7, Err: "EOF"},
			WorkerExited{Worker: "wc/1", PID: 7, Exit: supervisor.Exit{Code: 2}, Tail: []string{"panic: no config"}},
		},
		"it is killed": {
			WorkerStarted{Worker: "wc/1", PID: 7},
			WorkerReady{Worker: "wc/1", PID: 7},
			WorkerKilled{Worker: "wc/1", PID: 7, Reason: "unresponsive"},
			WorkerExited{Worker: "wc/1", PID: 7, Killed: "unresponsive"},
		},
	} {
		lines := 0
		for _, e := range events {
			if logLine(t, zerolog.WarnLevel, e) != "" {
				lines++
			}
		}
		if lines != 1 {
			t.Errorf("%s: %d lines, want 1", name, lines)
		}
	}
}
