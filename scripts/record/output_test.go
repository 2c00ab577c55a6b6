package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want string }{
		"lines":   {"$ a\r\none \r\n$ ", "$ a\none\n"},
		"colours": {"\x1b[1;31mred\x1b[0m…\r\n", "red…\n"},
		"pages":   {"$ w\r\n\x1b[2J\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J\x1b[Hc\x1b[K\r\n\x1b[J^C$ ", "$ w\n\na\nb\n\nc\n^C\n"},
	}
	for name, tt := range tests {
		got, err := plain(tt.in)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for _, bad := range []string{"\x1b]0;title\a", "\x1b[3;4Hx", "a\bb"} {
		if got, err := plain(bad); !errors.Is(err, errUnknownSequence) {
			t.Errorf("plain(%q) = %q, %v", bad, got, err)
		}
	}
}

// A character that came in two parts is one in the recording, at the time of the
// second.
func TestWriteCast(t *testing.T) {
	t.Parallel()
	const text = "a…b€"
	for cut := range len(text) + 1 {
		var out strings.Builder
		o := output{{at: time.Second, data: text[:cut]}, {at: 1500 * time.Millisecond, data: text[cut:]}}
		if err := writeCast(&out, time.Unix(1700000000, 0), o); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		var head header
		if err := json.Unmarshal([]byte(lines[0]), &head); err != nil || head.Version != 2 || head.Width != columns || head.Height != rows || head.Timestamp != 1700000000 {
			t.Fatalf("header: %v in %s", err, lines[0])
		}
		var got string
		for _, l := range lines[1:] {
			var event []any
			if err := json.Unmarshal([]byte(l), &event); err != nil || len(event) != 3 || event[1] != "o" {
				t.Fatalf("event: %v in %s", err, l)
			}
			if at := event[0].(float64); at != 1 && at != 1.5 {
				t.Errorf("at %v", at)
			}
			got += event[2].(string)
		}
		if got != text {
			t.Errorf("cut at %d: %q", cut, got)
		}
	}
	if err := writeCast(&strings.Builder{}, time.Now(), output{{data: "\xe2"}}); err == nil {
		t.Error("half a character at the end: no error")
	}
}

// The text in the documentation is that of the film beside it.
func TestRecordingsAgree(t *testing.T) {
	t.Parallel()
	const dir = "../../docs/recordings/"
	cast, err := os.ReadFile(dir + "controls.cast")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(dir + "controls.txt")
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for l := range strings.Lines(string(cast)) {
		var event []any
		if json.Unmarshal([]byte(l), &event) == nil { // all but the header
			shown.WriteString(event[2].(string))
		}
	}
	want, err := plain(shown.String())
	if diff := cmp.Diff(want, string(text)); err != nil || diff != "" {
		t.Errorf("controls.txt: %v (-film +text):\n%s", err, diff)
	}
}
