package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line that go test -json writes (see go doc test2json). Lines of
// the build carry an ImportPath instead of a Package.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// counter adds up the events of one run of go test.
type counter struct {
	report   strings.Builder // what is to be printed next
	packages map[string]*result
	builds   map[string]*strings.Builder

	passed, failed, skipped int
	skips                   []string
	broken                  bool // a package failed, or its build
}

// result is what is known of a package that still runs.
type result struct {
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by test, "" is the package itself
}

// run reads events from in until it ends, and reports to out. It returns
// whether the run is good; strict makes a skipped test a failure.
func run(in io.Reader, out io.Writer, strict bool) (bool, error) {
	c := &counter{packages: map[string]*result{}, builds: map[string]*strings.Builder{}}
	lines := bufio.NewReader(in)
	for {
		line, readErr := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			c.line(line)
		}
		if err := c.flush(out); err != nil {
			return false, err
		}
		if readErr == io.EOF {
			break
		}
		if readErr != nil {
			return false, fmt.Errorf("read test events: %w", readErr)
		}
	}
	ok := c.finish(strict)
	return ok, c.flush(out)
}

// flush prints what the events so far had to say.
func (c *counter) flush(out io.Writer) error {
	if _, err := io.WriteString(out, c.report.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	c.report.Reset()
	return nil
}

// line takes one line of input. What is no event (go vet and the linker write
// plain text) is shown as it is.
func (c *counter) line(line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil || e.Action == "" {
		fmt.Fprintf(&c.report, "%s\n", bytes.TrimRight(line, "\n"))
		return
	}
	switch e.Action {
	case "build-output":
		text(c.builds, e.ImportPath).WriteString(e.Output)
	case "build-fail":
		c.broken = true
		c.report.WriteString(text(c.builds, e.ImportPath).String())
	case "output":
		text(c.pkg(e.Package).output, e.Test).WriteString(e.Output)
	case "pass", "fail", "skip":
		c.end(e)
	}
}

// end takes the end of a test or, where Test is empty, of a package.
func (c *counter) end(e event) {
	p := c.pkg(e.Package)
	switch {
	case e.Test == "":
		c.endPackage(e, p)
		return
	case e.Action == "pass":
		p.passed++
	case e.Action == "skip":
		p.skipped++
		c.skips = append(c.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(text(p.output, e.Test).String())))
	case e.Action == "fail":
		p.failed++
		c.report.WriteString(text(p.output, e.Test).String())
	}
	delete(p.output, e.Test)
}

func (c *counter) endPackage(e event, p *result) {
	delete(c.packages, e.Package)
	if e.Action == "fail" {
		c.broken = true
		if p.failed == 0 { // a build, TestMain, a panic, the deadline
			p.failed = 1
		}
		for _, test := range slices.Sorted(maps.Keys(p.output)) { // includes tests that never ended
			c.report.WriteString(p.output[test].String())
		}
	}
	c.passed += p.passed
	c.failed += p.failed
	c.skipped += p.skipped
	if p.passed+p.failed+p.skipped > 0 {
		fmt.Fprintf(&c.report, "%-4s  %s  %d passed, %d failed, %d skipped  %.1fs\n",
			e.Action, e.Package, p.passed, p.failed, p.skipped, e.Elapsed)
	}
}

// finish prints the skipped tests and the count, which is the last line.
func (c *counter) finish(strict bool) bool {
	for _, name := range slices.Sorted(maps.Keys(c.packages)) {
		c.broken = true
		c.failed++
		fmt.Fprintf(&c.report, "fail  %s: the run ended before the package did\n", name)
	}
	for _, skip := range c.skips {
		fmt.Fprintln(&c.report, "skip ", skip)
	}
	if strict && c.skipped > 0 {
		fmt.Fprintln(&c.report, "CI is set: skipped tests count as failures")
	}
	if c.passed+c.failed+c.skipped == 0 {
		fmt.Fprintln(&c.report, "no test ran")
		c.broken = true
	}
	fmt.Fprintf(&c.report, "%d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped)
	return !c.broken && c.failed == 0 && (!strict || c.skipped == 0)
}

func (c *counter) pkg(name string) *result {
	p := c.packages[name]
	if p == nil {
		p = &result{output: map[string]*strings.Builder{}}
		c.packages[name] = p
	}
	return p
}

func text(m map[string]*strings.Builder, key string) *strings.Builder {
	b := m[key]
	if b == nil {
		b = &strings.Builder{}
		m[key] = b
	}
	return b
}

// reason is the text of t.Skip in a skipped test's output: the last line that
// go test did not write itself.
func reason(output string) string {
	last := "no reason given"
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			last = line
		}
	}
	return last
}
