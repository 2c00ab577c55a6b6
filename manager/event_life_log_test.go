package manager

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func TestLifeLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event Event
		want  string
	}{
		{
			StandbyReady{Worker: "wc/5", PID: 8, Took: 3 * time.Millisecond},
			`{"level":"debug","pool":"wc","worker":"wc/5","pid":8,"took_ms":3,"message":"standby ready"}`,
		},
		{
			WorkerPromoted{Worker: "wc/5", PID: 8, Instead: "wc/2", Reason: "max_runs"},
			`{"level":"debug","pool":"wc","worker":"wc/5","pid":8,"instead_of":"wc/2","reason":"max_runs","message":"standby promoted"}`,
		},
		{
			PoolFailed{Pool: "wc", Failures: 5, Err: errors.New("no config")},
			`{"level":"error","pool":"wc","error":"no config","failures":5,"detail":"none of its workers is started any more; mend the program: it is tried again when its file changes, or by: gearman-manager retry wc","message":"pool has failed"}`,
		},
		{
			PoolFailed{Pool: "*php", Failures: 5},
			`{"level":"error","pool":"*php","failures":5,"detail":"none of its workers is started any more; mend the program: it is tried again when its file changes, or by: gearman-manager retry \\*php","message":"pool has failed"}`,
		},
		{
			PoolRetried{Pool: "wc", Reason: "asked for"},
			`{"level":"warn","pool":"wc","reason":"asked for","message":"failed pool is tried again"}`,
		},
		{
			WorkerStopped{Worker: "wc/5", PID: 8},
			`{"level":"warn","pool":"wc","worker":"wc/5","pid":8,"grace_ms":10000,"detail":"a signal has stopped it; it is killed unless it is continued","message":"worker stopped"}`,
		},
		{
			WorkerContinued{Worker: "wc/5", PID: 8},
			`{"level":"warn","pool":"wc","worker":"wc/5","pid":8,"message":"worker continued"}`,
		},
		{
			LinesDropped{Worker: "wc/5", PID: 8, Stream: "stdout", Lines: 400},
			`{"level":"warn","pool":"wc","worker":"wc/5","pid":8,"stream":"stdout","lines":400,"detail":"it prints faster than its lines can be logged","message":"lines of a worker dropped"}`,
		},
	} {
		if diff := cmp.Diff(c.want, logLine(t, zerolog.TraceLevel, c.event)); diff != "" {
			t.Errorf("%T: %s", c.event, diff)
		}
	}
}
