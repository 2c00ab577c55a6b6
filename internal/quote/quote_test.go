package quote_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gearman-manager/gearman-manager/internal/quote"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "short", strings.Repeat("x", 300)} {
		if got := quote.Line(line); got != line {
			t.Errorf("%q was changed to %q", line, got)
		}
	}
	for shift := range 4 {
		got := quote.Line(strings.Repeat("a", shift) + strings.Repeat("€", 200))
		if !utf8.ValidString(got) || !strings.HasSuffix(got, "€…") || len(got) > 303 || len(got) < 299 {
			t.Errorf("shifted by %d: %d bytes, %q", shift, len(got), got)
		}
	}
	if got := quote.Line(strings.Repeat("\x80", 400)); len(got) < 290 {
		t.Errorf("of bytes that are no characters %d are left", len(got))
	}
}

func TestTelling(t *testing.T) {
	t.Parallel()
	for want, lines := range map[string]string{
		"":                               "\n \n",
		"the last":                       "one\n  the last \n\n",
		"panic: no":                      "begins\npanic: no\n\ngoroutine 1 [running]:",
		"fatal error: all asleep":        "fatal error: all asleep\n\ngoroutine 1:",
		"PHP Fatal error:  x in a.php:2": "PHP Fatal error:  x in a.php:2\nStack trace:\n#0 {main}",
		"PHP Parse error:  y":            "PHP Parse error:  y\nmore",
	} {
		if got := quote.Telling(strings.Split(lines, "\n")); got != want {
			t.Errorf("of %q it took %q, want %q", lines, got, want)
		}
	}
}
