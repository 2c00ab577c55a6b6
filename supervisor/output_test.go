package supervisor_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// collected is what Line was called with.
type collected struct {
	mu    sync.Mutex
	lines []string
}

func (c *collected) add(line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, string(line))
}

func (c *collected) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.lines...)
}

func newOutput(t *testing.T, cfg supervisor.OutputConfig) (*supervisor.Output, *collected) {
	t.Helper()
	c := &collected{}
	cfg.Line = c.add
	out, err := supervisor.NewOutput(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out, c
}

func TestOutputIsDividedIntoLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 30)
	for _, c := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"nothing", nil, []string{}},
		{"lines", []string{"a\nb\n"}, []string{"a", "b"}},
		{"no end", []string{"a\nb"}, []string{"a", "b"}},
		{"empty lines", []string{"\n\na\n\n"}, []string{"", "", "a", ""}},
		{"in pieces", []string{"a", "b", "c\nd", "\n"}, []string{"abc", "d"}},
		{"as on Windows", []string{"a\r\nb\r", "\n"}, []string{"a", "b"}},
		{"as long as allowed", []string{long[:20] + "\nb\n"}, []string{long[:20], "b"}},
		{"too long", []string{long + "\nb\n"}, []string{long[:20] + supervisor.Truncated, "b"}},
		{"too long, in pieces", []string{long, long, "\nb\n"}, []string{long[:20] + supervisor.Truncated, "b"}},
		{"too long, no end", []string{long}, []string{long[:20] + supervisor.Truncated}},
		{"any bytes", []string{"\x00\xff\n"}, []string{"\x00\xff"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, got := newOutput(t, supervisor.OutputConfig{MaxLine: 20})
			for _, w := range c.writes {
				if _, err := out.Writer().WriteString(w); err != nil {
					t.Fatal(err)
				}
			}
			if err := out.Close(); err != nil {
				t.Fatal(err)
			}
			if lines := got.all(); !reflect.DeepEqual(lines, c.want) {
				t.Errorf("got %q, want %q", lines, c.want)
			}
		})
	}
}

func TestTailIsTheLastLines(t *testing.T) {
	t.Parallel()
	for keep, want := range map[int][]string{
		-1: {}, 0: {"a", "b", "c", "dd", ""}, 2: {"dd", ""}, 3: {"c", "dd", ""}, 5: {"a", "b", "c", "dd", ""},
	} {
		out, _ := newOutput(t, supervisor.OutputConfig{Keep: keep})
		_, _ = out.Writer().WriteString("a\nb\nc\ndd\n\n")
		_ = out.Close()
		if got := out.Tail(); !reflect.DeepEqual(got, want) {
			t.Errorf("keep %d: got %q, want %q", keep, got, want)
		}
	}
}

// dropped adds a note of lines that are missing to the others.
func (c *collected) dropped(lines int) { c.add(fmt.Appendf(nil, "dropped %d", lines)) }

// mustAccountFor checks that each line of a flood was either given or counted where
// it is missing. It returns how many were given and how many notes there are.
func mustAccountFor(t *testing.T, got []string, lines int) (given, notes int) {
	t.Helper()
	next, number := 0, 0
	for _, text := range got {
		if _, err := fmt.Sscanf(text, "dropped %d", &number); err == nil {
			next += number
			notes++
			continue
		}
		if want := fmt.Sprintf("line %d", next); text != want {
			t.Fatalf("got %q, want %q", text, want)
		}
		next++
		given++
	}
	if next != lines {
		t.Errorf("%d lines are accounted for, want %d", next, lines)
	}
	return given, notes
}

func TestAFloodIsReadWhole(t *testing.T) {
	t.Parallel()
	const lines = 100_000
	got := &collected{}
	out, err := supervisor.NewOutput(supervisor.OutputConfig{Line: got.add, Dropped: got.dropped})
	if err != nil {
		t.Fatal(err)
	}
	spec := child("flood", fmt.Sprint(lines))
	spec.Stdout = out.Writer()
	begin := time.Now()
	if e := wait(t, start(t, spec)); !e.Success() {
		t.Fatal(e)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	given, notes := mustAccountFor(t, got.all(), lines)
	seconds := time.Since(begin).Seconds() + 1 // about
	if most := 5_000 + int(1_000*seconds); given > most || given < 1_000 {
		t.Errorf("%d lines in %.1f s", given, seconds)
	}
	if notes < 1 || notes > int(seconds)+2 {
		t.Errorf("%d notes in %.1f s", notes, seconds)
	}
	if tail := out.Tail(); len(tail) != supervisor.DefaultKeep || tail[0] != fmt.Sprintf("line %d", lines-supervisor.DefaultKeep) {
		t.Errorf("tail: %q", tail)
	}
}

func TestCloseDoesNotWaitForAnotherHolder(t *testing.T) {
	t.Parallel()
	out, got := newOutput(t, supervisor.OutputConfig{})
	spec := child("inherit", "0")
	spec.Stdout, spec.KeepGroup = out.Writer(), true
	wait(t, start(t, spec))
	var member int
	testutil.WaitFor(t, "the member says its pid", func() bool {
		for _, line := range got.all() {
			_, _ = fmt.Sscanf(line, "ready %d", &member)
		}
		return member != 0
	})
	done := make(chan error, 1)
	go func() { done <- out.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits")
	}
	if gone(member) {
		t.Error("the member, which holds the pipe, has ended: nothing was shown")
	}
	p, err := os.FindProcess(member)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Kill()
	_ = p.Release()
	orphan(t, member)
}

func TestOutputOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	out, got := newOutput(t, supervisor.OutputConfig{})
	for _, word := range []string{"first", "second"} {
		spec := sh("echo " + word + "; echo error >&2")
		spec.Stdout, spec.Stderr = out.Writer(), out.Writer()
		wait(t, start(t, spec))
	}
	_ = out.Close()
	if err := out.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if want := []string{"first", "error", "second", "error"}; !reflect.DeepEqual(got.all(), want) {
		t.Errorf("got %q, want %q", got.all(), want)
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\nb\r\n\n", 3, 2)
	f.Add("abcdefgh\nx", 4, 100)
	f.Add("\r\r\n", 1, 1)
	f.Fuzz(func(t *testing.T, text string, limit, chunk int) {
		limit, chunk = 1+abs(limit)%64, 1+abs(chunk)%64
		var got []string
		split := supervisor.NewLineSplitter(limit, func(line []byte) { got = append(got, string(line)) })
		for rest := text; rest != ""; {
			n := min(chunk, len(rest))
			split.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		split.Flush()
		if want := naiveLines(text, limit); !reflect.DeepEqual(got, want) {
			t.Errorf("%q by %d, at most %d: got %q, want %q", text, chunk, limit, got, want)
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

// naiveLines divides a text that is there as a whole.
func naiveLines(text string, limit int) (lines []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) > limit {
			line = line[:limit] + supervisor.Truncated
		}
		lines = append(lines, strings.TrimSuffix(line, "\r"))
	}
	return lines
}
