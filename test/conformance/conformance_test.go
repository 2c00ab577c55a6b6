package conformance

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write what the servers answer into the scripts")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// TestEmbedded runs every case on the embedded server.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	runAll(t, embedded, func(t *testing.T, o options) server {
		t.Helper()
		return startEmbedded(t, o)
	})
}

// TestGearmand runs every case on Debian's gearmand.
func TestGearmand(t *testing.T) {
	t.Parallel()
	runAll(t, gearmand, func(t *testing.T, o options) server {
		t.Helper()
		return startGearmand(t, o)
	})
}

// TestDeviations wants a reason for each difference, and a difference for each
// reason.
func TestDeviations(t *testing.T) {
	t.Parallel()
	for _, s := range readScripts(t) {
		for _, c := range s.cases {
			switch {
			case c.differs() && c.deviation == "":
				t.Errorf("%s:%d: %q differs without a reason", s.path, c.line, c.name)
			case !c.differs() && c.deviation != "":
				t.Errorf("%s:%d: %q has a reason and does not differ", s.path, c.line, c.name)
			}
		}
	}
}

// runAll runs every case on servers of its own.
func runAll(t *testing.T, name string, start func(*testing.T, options) server) {
	t.Helper()
	if *update {
		return
	}
	for _, s := range readScripts(t) {
		subject := strings.TrimSuffix(filepath.Base(s.path), ".txt")
		for _, c := range s.cases {
			t.Run(subject+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, s.path, name, start(t, c.options))
			})
		}
	}
}

// run performs the case and compares after each action.
func (c *testCase) run(t *testing.T, path, name string, srv server) {
	t.Helper()
	st := newStage(t, srv)
	for _, s := range c.steps {
		if s.only != "" && s.only != name {
			continue
		}
		got, err := st.perform(s)
		if err != nil {
			t.Fatalf("%s:%d: %s: %v (got %q)", path, s.line, s.source, err, got)
		}
		if diff := cmp.Diff(byActor(s.want[name]), byActor(got)); diff != "" {
			t.Fatalf("%s:%d: %s: answers (-want +got):\n%s", path, s.line, s.source, diff)
		}
	}
}

// byActor groups answers by who got them, so that the order in which a script
// names its actors does not matter.
func byActor(lines []string) []string {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return lines
}

// TestUpdate writes the scripts anew from what both servers answer.
func TestUpdate(t *testing.T) {
	if !*update {
		return
	}
	for _, s := range readScripts(t) {
		var b strings.Builder
		for _, c := range s.cases {
			c.record(t, gearmand, startGearmand(t, c.options))
			c.record(t, embedded, startEmbedded(t, c.options))
			c.write(&b)
		}
		if err := os.WriteFile(s.path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// record replaces what is expected from one server by what it answers.
func (c *testCase) record(t *testing.T, name string, srv server) {
	t.Helper()
	st := newStage(t, srv)
	for _, s := range c.steps {
		s.want[name] = nil
		if s.only != "" && s.only != name {
			continue
		}
		got, err := st.perform(s)
		if err != nil {
			t.Errorf("%s: %s: line %d: %s: %v", c.name, name, s.line, s.source, err)
		}
		s.want[name] = got
	}
}

// write writes the case as it stands in a script.
func (c *testCase) write(b *strings.Builder) {
	put := func(mark string, lines []string) {
		for _, l := range lines {
			b.WriteString(mark + l + "\n")
		}
	}
	put("", c.head)
	for _, s := range c.steps {
		put("", s.before)
		put("", []string{s.source})
		if slices.Equal(byActor(s.want[gearmand]), byActor(s.want[embedded])) {
			put("", s.want[gearmand])
			continue
		}
		put("["+gearmand+"] ", s.want[gearmand])
		put("["+embedded+"] ", s.want[embedded])
	}
}
