package php

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gearman-manager/gearman-manager/internal/quote"
)

// readAll is every line of r, and the error at its end.
func readAll(r io.Reader, most int) (lines []string, err error) {
	l := newLineReader(r, most)
	for {
		line, err := l.next()
		if err != nil {
			return lines, err
		}
		lines = append(lines, string(line))
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*lineBuffer)
	for name, c := range map[string]struct {
		in   string
		want []string
		end  error
	}{
		"nothing":            {"", nil, io.EOF},
		"one":                {"a\n", []string{"a"}, io.EOF},
		"empty lines":        {"\n\n", []string{"", ""}, io.EOF},
		"without its end":    {"a\nb", []string{"a"}, io.ErrUnexpectedEOF},
		"long ones":          {long + "\nb\n" + long + long + "\n\n", []string{long, "b", long + long, ""}, io.EOF},
		"long, no end":       {long, nil, io.ErrUnexpectedEOF},
		"as long as allowed": {strings.Repeat(long, 3) + "\nc\n", []string{strings.Repeat(long, 3), "c"}, io.EOF},
	} {
		for way, r := range map[string]io.Reader{
			"at once": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
		} {
			got, err := readAll(r, 9*lineBuffer)
			if !errors.Is(err, c.end) || strings.Join(got, "\n") != strings.Join(c.want, "\n") || len(got) != len(c.want) {
				t.Errorf("%s, %s: %d lines, %v", name, way, len(got), err)
			}
		}
	}
}

// TestALongLine counts what is read of a line that is too long.
func TestALongLine(t *testing.T) {
	t.Parallel()
	for _, most := range []int{0, 10, lineBuffer - 1, lineBuffer, lineBuffer + 1, 5 * lineBuffer} {
		in := strings.NewReader("ok"[:min(2, most)] + "\n" + strings.Repeat("y", most+1) + "\n")
		lines, err := readAll(in, most)
		var bad *ProtocolError
		if len(lines) != 1 || !errors.As(err, &bad) {
			t.Errorf("%d: %d lines, %v", most, len(lines), err)
		}
	}
	endless := io.MultiReader(strings.NewReader("good\n"), repeated('z'))
	lines, err := readAll(endless, maxLine)
	var bad *ProtocolError
	if len(lines) != 1 || !errors.As(err, &bad) || bad.Line != strings.Repeat("z", quote.Max) {
		t.Errorf("%d lines, %.200v", len(lines), err)
	}
}

// repeated is a stream that does not end.
type repeated byte

func (r repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func TestABrokenStream(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	lines, err := readAll(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 10)
	if len(lines) != 1 || !errors.Is(err, broken) {
		t.Errorf("%q, %v", lines, err)
	}
}

func TestATimeBeforeALine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                "",
		"PHP Warning:  x": "PHP Warning:  x",
		"[22-Nov-2026 23:30:00 UTC] PHP Warning:  x":              "PHP Warning:  x",
		"[22-Nov-2026 23:30:00 Europe/Berlin] x":                  "x",
		"[22-Nov-2026 23:30:00 America/Argentina/Buenos_Aires] x": "x",
		"[22-Nov-2026 23:30:00] x":                                "x",
		"[22-Nov-2026 23:30:00 UTC] ":                             "",
		"[22-Nov-2026 23:30:00 UTC] [22-Nov-2026 23:30:00 UTC] x": "[22-Nov-2026 23:30:00 UTC] x",
		"[2026-11-22 23:30:00] x":                                 "[2026-11-22 23:30:00] x",
		"x [22-Nov-2026 23:30:00 UTC] y":                          "x [22-Nov-2026 23:30:00 UTC] y",
		"[22-Nov-2026 23:30:00 UTC]x":                             "[22-Nov-2026 23:30:00 UTC]x",
		"[":                                                       "[",
	} {
		if got := string(withoutTime([]byte(in))); got != want {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

// FuzzLine gives anything to what reads the lines of php processes. A line that is
// taken for a message says one of the things that are known.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{
		`{"event":{"hello":{"pid":1,"description":{"contract":1,"functions":["a"]}}}}`,
		`{"event":{"left":{"counters":{"done":"3"}}}}` + "\n" + `{"pong":7}`,
		`{"refused":"no"}`, `{"inspected":{"function":"a","line":3}}`, `{"parent":{"php":"8.2.1","pid":1}}`, `{"id":"1","pid":2}`,
		`{"forked":"1"}`, `{"not_forked":"1","error":"x"}`, `{"preloaded":true}`, `{"event":null}`, `{"Event":{}}`, "{\x00", `[[[[`, `"\ud800"`,
	} {
		f.Add([]byte(seed+"\n"), uint16(100))
	}
	f.Fuzz(func(t *testing.T, data []byte, most uint16) {
		reader := newLineReader(iotest.HalfReader(bytes.NewReader(data)), int(most))
		for {
			line, err := reader.next()
			if err != nil {
				return
			}
			if len(line) > int(most) || bytes.IndexByte(line, '\n') >= 0 {
				t.Fatalf("a line of %d bytes, at most %d are allowed", len(line), most)
			}
			tryAll(t, line)
		}
	})
}

func tryAll(t *testing.T, line []byte) {
	t.Helper()
	_, _ = decode[introduction](line)
	_, _ = decode[reply](line)
	msg, err := decodeMessage(line)
	if err != nil {
		var bad *ProtocolError
		if !errors.As(err, &bad) || len(bad.Line) > quote.Max+len("…") {
			t.Fatalf("%T %v", err, err)
		}
		return
	}
	if msg.Event == nil {
		return
	}
	ev, err := msg.event()
	if (err == nil) != (ev.GetEvent() != nil) {
		t.Fatalf("%v, %v", ev, err)
	}
}
