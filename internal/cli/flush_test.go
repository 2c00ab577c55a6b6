package cli

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestQueuedLog: what is logged last is there after the flush, also when the command
// was told to end.
func TestQueuedLog(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	log, flush, err := (&logFlags{}).queued(ctx, &streams{err: &out}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		log.Warn().Msg("one of many")
	}
	log.Warn().Msg("the last")
	cancel()
	flush()
	if got := out.String(); strings.Count(got, "\n") != 101 || !strings.HasSuffix(got, " WRN the last\n") {
		t.Errorf("%q", got)
	}
	if _, _, err := (&logFlags{format: "xml"}).queued(ctx, &streams{err: &out}, 0); err == nil {
		t.Error("a format that there is not")
	}
}

// TestStuckLog: a program ends although nobody reads its log.
func TestStuckLog(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log, flush, err := (&logFlags{}).queued(t.Context(), &streams{err: w}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 {
		log.Warn().Msg(strings.Repeat("x", 100))
	}
	begun := time.Now()
	flush()
	if took := time.Since(begun); took < flushGrace/2 || took > 10*flushGrace {
		t.Errorf("it took %v", took)
	}
	_ = r.Close() // which ends the write that hangs
	_ = w.Close()
}
