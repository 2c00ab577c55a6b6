package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

func TestBrief(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": -time.Hour, "350ms": 350*time.Millisecond + 999*time.Microsecond, "1s": time.Second, "9.9s": 9999 * time.Millisecond, "42s": 42_900 * time.Millisecond,
		"2m10s": 130 * time.Second, "59m59s": time.Hour - 1, "3h12m": 3*time.Hour + 12*time.Minute + 59*time.Second, "1h0m": time.Hour,
		"1d0h": 24 * time.Hour, "5d3h": 123*time.Hour + 30*time.Minute,
	} {
		if got := brief(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestBytesText(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]int64{
		"0": 0, "1023": 1023, "1.0K": 1024, "12.3M": 12_900_000, "1.0M": 1 << 20, "1.0G": 1<<30 - 1, "8.0E": 1<<63 - 1, "1023.9M": 1023<<20 + 920<<10,
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	const text = "größer als das\nkurz  \n\n"
	for width, want := range map[int]string{0: "größer als das\nkurz\n\n", 14: "größer als das\nkurz\n\n", 8: "größer …\nkurz\n\n"} {
		if got := fit(text, width); got != want {
			t.Errorf("%d: %q, want %q", width, got, want)
		}
	}
}

// TestFrame: a page takes the place of the one before and never scrolls.
func TestFrame(t *testing.T) {
	t.Parallel()
	if got, want := frame("a\nbcdef\nc\nd\n", 4, 4), "\x1b[Ha\x1b[K\nbcd…\x1b[K\n… 2…\x1b[K\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestShorten: what is too much is left out of the table, not of what somebody has to
// look at.
func TestShorten(t *testing.T) {
	t.Parallel()
	const text = "head\n\nPOOL\na\nb\nc\nd\n\nbad"
	for height, want := range map[int]string{
		9: text, 8: "head\n\nPOOL\na\nb\n… 2 more\n\nbad", 7: "head\n\nPOOL\na\n… 3 more\n\nbad", 6: "head\n\nPOOL\na\nb\n… 4 more", 1: "… 9 more",
	} {
		if got := strings.Join(shorten(strings.Split(text, "\n"), height), "\n"); got != want {
			t.Errorf("%d: %q, want %q", height, got, want)
		}
	}
}

// TestTableOnTerminal: a table is cut at the width of a terminal, and only there.
func TestTableOnTerminal(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"WORKER", "IN HAND"}, {"resize/1", "2m10s resize H:a:1"}}
	p := &page{width: 20, height: 5}
	if err := writeTable(p, rows); err != nil || p.String() != "WORKER    IN HAND\nresize/1  2m10s res…\n" {
		t.Errorf("%v, %q", err, p.String())
	}
	var out bytes.Buffer
	if err := writeTable(&out, rows); err != nil || !strings.HasSuffix(out.String(), "2m10s resize H:a:1\n") {
		t.Errorf("%v, %q", err, out.String())
	}
}

// TestWorkerState: slots show where not all are registered.
func TestWorkerState(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]control.Worker{
		"ready":              {State: "ready", Slots: 2, Ready: 2},
		"ready 1/2":          {State: "ready", Slots: 2, Ready: 1},
		"ready 0/2":          {State: "ready", Slots: 2},
		"starting":           {State: "starting", Slots: 2},
		"draining 1/2":       {State: "draining", Slots: 2, Ready: 1},
		"ready, stopped 0/1": {State: "ready", Stopped: true, Slots: 1},
	} {
		if got := workerState(w); got != want {
			t.Errorf("%+v: %s, want %s", w, got, want)
		}
	}
}

// TestClosed: a result ends its line on a terminal only.
func TestClosed(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		result   string
		terminal bool
	}{
		"": {"", true}, "a": {"a", false}, "b\n": {"b", true}, "c\n": {"c\n", true},
	} {
		if got := closed([]byte(c.result), c.terminal); string(got) != want {
			t.Errorf("%q, %v: %q, want %q", c.result, c.terminal, got, want)
		}
	}
}

// TestReplaced: the number of workers in words.
func TestReplaced(t *testing.T) {
	t.Parallel()
	for n, want := range []string{"no worker runs that could be replaced", "1 worker is replaced", "2 workers are replaced one by one"} {
		if got := replaced(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
