package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// lines logs one line at each level and returns what was written.
func lines(t *testing.T, cfg logging.Config) string {
	t.Helper()
	var out bytes.Buffer
	cfg.Out = &out
	log, err := logging.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	log.Error().Str(logging.FieldDetail, "no route").Msg("at error")
	log.Warn().Msg("at warn")
	log.Info().Msg("at info")
	log.Debug().Msg("at debug")
	log.Trace().Msg("at trace")
	return out.String()
}

func TestVerbosity(t *testing.T) {
	t.Parallel()
	for verbosity, want := range map[int]int{-1: 2, 0: 2, 1: 3, 2: 4, 3: 4, 4: 4, 5: 5, 9: 5} {
		if got := strings.Count(lines(t, logging.Config{Verbosity: verbosity}), "\n"); got != want {
			t.Errorf("verbosity %d: %d lines, want %d", verbosity, got, want)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	console := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERR at error detail="no route"\n`)
	for _, f := range []logging.Format{"", logging.Auto, logging.Console} {
		if got := lines(t, logging.Config{Format: f}); !console.MatchString(got) || strings.Contains(got, "\x1b") {
			t.Errorf("%q: %q", f, got)
		}
	}
	first, _, _ := strings.Cut(lines(t, logging.Config{Format: logging.JSON}), "\n")
	var line map[string]string
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatal(err)
	}
	if line[zerolog.LevelFieldName] != "error" || line["detail"] != "no route" || line["message"] != "at error" || line["time"] == "" {
		t.Errorf("%v", line)
	}
}

// TestPoolOfWorker: people are not told twice of which pool a worker is, programs
// find it in each line.
func TestPoolOfWorker(t *testing.T) {
	t.Parallel()
	for format, want := range map[logging.Format]string{logging.Console: "a worker=resize/1\nb pool=resize\nc pool=res worker=resize/1\n", logging.JSON: ""} {
		var out bytes.Buffer
		log, err := logging.New(logging.Config{Out: &out, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.Warn().Str(logging.FieldPool, "resize").Str(logging.FieldWorker, "resize/1").Msg("a")
		log.Warn().Str(logging.FieldPool, "resize").Msg("b")
		log.Warn().Str(logging.FieldPool, "res").Str(logging.FieldWorker, "resize/1").Msg("c")
		got := regexp.MustCompile(`(?m)^.* WRN `).ReplaceAllString(out.String(), "")
		if want == "" && strings.Count(got, `"pool":`) != 3 || want != "" && got != want {
			t.Errorf("%s: %q", format, got)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	_, err := logging.New(logging.Config{Out: &bytes.Buffer{}, Format: "xml"})
	if e, ok := errors.AsType[*logging.FormatError](err); !ok || e.Format != "xml" || !strings.Contains(err.Error(), "json") {
		t.Errorf("%v, want a FormatError that lists the formats", err)
	}
}

// TestFieldKeys: keys are snake_case, sorted, and none stands twice.
func TestFieldKeys(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "fields.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	snake, last := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`), ""
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok {
			return true
		}
		key, err := strconv.Unquote(lit.Value)
		if err != nil || !snake.MatchString(key) || key <= last {
			t.Errorf("key %s after %q, %v", lit.Value, last, err)
		}
		last = key
		return true
	})
	if last == "" {
		t.Error("found no keys")
	}
}
