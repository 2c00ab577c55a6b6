package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("CET", 3600)
	now := time.Date(2026, 1, 30, 12, 0, 0, 0, berlin)
	for text, want := range map[string]time.Time{
		"+90m":                      now.Add(90 * time.Minute),
		"+1h30m":                    now.Add(90 * time.Minute),
		"2026-01-31 18:30":          time.Date(2026, 1, 31, 18, 30, 0, 0, berlin),
		"2026-01-31 18:30:05":       time.Date(2026, 1, 31, 18, 30, 5, 0, berlin),
		"2026-01-31":                time.Date(2026, 1, 31, 0, 0, 0, 0, berlin),
		"2026-01-31T18:30:00Z":      time.Date(2026, 1, 31, 18, 30, 0, 0, time.UTC),
		"2026-01-31T18:30:00+02:00": time.Date(2026, 1, 31, 16, 30, 0, 0, time.UTC),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"90m", "+", "+90", "2026-02-30", "18:30", " "} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for want, n := range map[string][2]uint64{
		"[               " + "               ]   0%  0/10": {0, 10},
		"[===============               ]  50%  5/10":      {5, 10},
		"[==============================] 100%  10/10":     {10, 10},
		"11/10": {11, 10},
		"7/0":   {7, 0},
	} {
		if got := progressLine(n[0], n[1]); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
	var out bytes.Buffer
	p := &progress{out: &out}
	p.status(1, 2)
	p.clear()
	if out.Len() > 0 {
		t.Errorf("wrote %q where no terminal is", out.String())
	}
	p.terminal = true
	p.clear()
	p.status(1, 1)
	p.clear()
	p.clear()
	if want := "\r\x1b[K[" + strings.Repeat("=", 30) + "] 100%  1/1\r\x1b[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                    {""},
		"one":                 {"one"},
		"one two three":       {"one two", "three"},
		"  much   space ":     {"much", "space"},
		"averyverylongword a": {"averyverylongword", "a"},
	} {
		if got := wrap(text, 8); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestServerAddress(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]serve{
		"127.0.0.1:4730": {listen: "127.0.0.1"},
		"127.0.0.1:99":   {listen: "127.0.0.1", port: 99},
		"0.0.0.0:98":     {listen: "0.0.0.0:98"},
		"127.0.0.1:0":    {listen: "127.0.0.1:0"},
		"[::1]:4730":     {listen: "::1"},
		"[::1]:97":       {listen: "[::1]:97"},
	} {
		if got, err := s.address(); err != nil || got != want {
			t.Errorf("%+v: %q, %v, want %q", s, got, err, want)
		}
	}
}

func TestNextVerbosity(t *testing.T) {
	t.Parallel()
	text := ""
	for _, want := range []string{"1", "2", "3", "4", "5", "5"} {
		if text = nextVerbosity(text); text != want {
			t.Fatalf("%s, want %s", text, want)
		}
	}
}

func TestProblemsOf(t *testing.T) {
	t.Parallel()
	file := config.Problem{Section: config.GlobalSection, Message: "the file /w/sum is empty, want a program"}
	script := config.Problem{Section: config.GlobalSection, Message: "the file /w/sum.sh is empty, want a program"}
	section := config.Problem{Section: "sum", Message: "the program nosuch is not on the PATH"}
	other := config.Problem{Section: config.GlobalSection, Message: "the file /w/sums is empty, want a program"}
	all := []config.Problem{file, script, section, other}
	if got := problemsOf("sum", all); !slices.Equal(got, all[:3]) {
		t.Errorf("of sum: %v", got)
	}
	if got := problemsOf("else", all); !slices.Equal(got, all) {
		t.Errorf("of a function that no problem names: %v, want all", got)
	}
}
