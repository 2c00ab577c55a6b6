package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
)

// TestQueuedLog: what is logged last is there after the flush, also when the command
// was told to end.
func TestQueuedLog(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	log, flush, err := (&logFlags{}).queued(ctx, &out, 0)
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
	if _, _, err := (&logFlags{format: "xml"}).queued(ctx, &out, 0); err == nil {
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
	log, flush, err := (&logFlags{}).queued(t.Context(), w, 0)
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

// TestLogOfConfig: where the config wants the log, and what is said when it is to be
// opened anew.
func TestLogOfConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                                  "the log is no file",
		"log_file = syslog":                 "the log is no file",
		"log_file = " + dir + "/log":        "",
		"log_file = " + dir + "/none/there": "refused",
	} {
		cfg, problems := config.Parse("a.ini", []byte("[GearmanManager]\n"+text+"\n"), nil)
		if config.HasErrors(problems) {
			t.Fatal(problems)
		}
		var stderr strings.Builder
		out, err := (&logFlags{}).open(t.Context(), &streams{err: &stderr}, cfg)
		if want == "refused" {
			if err == nil || !strings.Contains(err.Error(), dir+"/none/there: no such file") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		out.log.Info().Msg("too much")
		out.reopen("SIGUSR1")
		out.close()
		if got := stderr.String(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || !strings.Contains(string(log), "log file opened anew") || strings.Contains(string(log), "too much") {
		t.Errorf("%q, %v", log, err)
	}
}
