package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// script is one file of cases.
type script struct {
	path  string
	cases []*testCase
}

// testCase is one case of a script.
type testCase struct {
	name      string
	line      int
	options   options
	deviation string // why gearmand's answers differ; empty if they do not
	head      []string
	steps     []*step
}

// step is an action and what is expected to follow it.
type step struct {
	line   int
	only   string // the one server it is for; empty for both
	actor  string
	verb   string
	args   string
	source string
	before []string // comments and empty lines before it
	want   map[string][]string
}

// options are the settings of the server that a case runs on.
type options struct {
	retries, wakeup        int
	roundRobin, exceptions bool
	defaultPrefix          bool
}

const (
	gearmand = "gearmand"
	embedded = "embedded"
)

// readScripts parses every file of testdata.
func readScripts(t *testing.T) []*script {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var all []*script
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseScript(path, string(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// parseScript reads the cases of one file.
func parseScript(path, text string) (*script, error) {
	s := &script{path: path}
	var c *testCase
	var skipped []string
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		name, begins := strings.CutPrefix(line, "== ")
		switch {
		case begins:
			c = &testCase{name: name, line: i + 1, head: append(skipped, line)}
			s.cases = append(s.cases, c)
			skipped = nil
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
			skipped = append(skipped, line)
		case c == nil:
			return nil, fmt.Errorf("%s:%d: no case begun", path, i+1)
		default:
			if err := c.parseLine(i+1, line, skipped); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
			}
			skipped = nil
		}
	}
	return s, nil
}

// parseLine reads a line within a case.
func (c *testCase) parseLine(number int, line string, before []string) error {
	if reason, ok := strings.CutPrefix(line, "deviation: "); ok {
		c.deviation = reason
		c.head = append(c.head, line)
		return nil
	}
	if words, ok := strings.CutPrefix(line, "options: "); ok {
		c.head = append(c.head, line)
		return c.options.parse(words)
	}
	s := &step{line: number, source: line, before: before, want: map[string][]string{}}
	rest := line
	if tail, ok := strings.CutPrefix(rest, "["); ok {
		s.only, rest, ok = strings.Cut(tail, "] ")
		if !ok || (s.only != gearmand && s.only != embedded) {
			return fmt.Errorf("unknown server in %q", line)
		}
	}
	s.actor, rest, _ = strings.Cut(rest, " ")
	s.verb, s.args, _ = strings.Cut(rest, " ")
	if s.verb != "<" && s.verb != "|" {
		c.steps = append(c.steps, s)
		return nil
	}
	if len(c.steps) == 0 {
		return fmt.Errorf("answer %q before any action", line)
	}
	last := c.steps[len(c.steps)-1]
	for _, server := range []string{gearmand, embedded} {
		if s.only == "" || s.only == server {
			last.want[server] = append(last.want[server], rest2line(s))
		}
	}
	return nil
}

// rest2line is an expectation without the mark of its server.
func rest2line(s *step) string { return s.actor + " " + s.verb + " " + s.args }

// parse reads the words of an options line.
func (o *options) parse(words string) error {
	for w := range strings.FieldsSeq(words) {
		name, value, _ := strings.Cut(w, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "retries":
			o.retries = n
		case "wakeup":
			o.wakeup = n
		case "round-robin":
			o.roundRobin = true
		case "exceptions":
			o.exceptions = true
		case "default-prefix":
			o.defaultPrefix = true
		default:
			return fmt.Errorf("unknown option %q", w)
		}
	}
	return nil
}

// differs reports whether the case expects different answers from the two.
func (c *testCase) differs() bool {
	for _, s := range c.steps {
		if s.only != "" || strings.Join(s.want[gearmand], "\n") != strings.Join(s.want[embedded], "\n") {
			return true
		}
	}
	return false
}

// types are the packet types by name.
func types() map[string]wire.Type {
	m := map[string]wire.Type{}
	for t := range wire.Type(64) {
		if t.Known() {
			m[t.String()] = t
		}
	}
	return m
}

// packetOf builds the bytes of a packet from the words that describe it. A type
// may be a number.
func packetOf(magic wire.Magic, words string) ([]byte, error) {
	args, err := splitWords(words)
	if err != nil || len(args) == 0 {
		return nil, fmt.Errorf("packet %q: %w", words, err)
	}
	typ, ok := types()[string(args[0])]
	if !ok {
		n, err := strconv.ParseUint(string(args[0]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("unknown packet %q", args[0])
		}
		typ = wire.Type(n)
	}
	return wire.AppendUnchecked(nil, magic, typ, args[1:]...), nil
}

// splitWords splits at spaces, understanding Go's quotes, x*64 and @+2.
func splitWords(s string) ([][]byte, error) {
	var words [][]byte
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] != '"' {
			word, rest, _ := strings.Cut(s, " ")
			words, s = append(words, expand(word)), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, fmt.Errorf("unquote %s: %w", s, err)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("unquote %s: %w", quoted, err)
		}
		words, s = append(words, []byte(word)), s[len(quoted):]
	}
	return words, nil
}

// expand gives the meaning of a word that was not quoted.
func expand(word string) []byte {
	if after, ok := strings.CutPrefix(word, "@+"); ok {
		if n, err := strconv.Atoi(after); err == nil {
			return strconv.AppendInt(nil, time.Now().Unix()+int64(n), 10)
		}
	}
	if len(word) > 2 && word[1] == '*' {
		if n, err := strconv.Atoi(word[2:]); err == nil {
			return []byte(strings.Repeat(word[:1], n))
		}
	}
	return []byte(word)
}

// describe writes a packet as a script does.
func describe(p wire.Packet) string {
	var b strings.Builder
	b.WriteString(p.Type.String())
	for _, a := range p.Args {
		b.WriteByte(' ')
		b.WriteString(word(string(a)))
	}
	return b.String()
}

// word writes an argument so that splitWords reads it back.
func word(s string) string {
	if len(s) > 8 && s == strings.Repeat(s[:1], len(s)) && s[0] > ' ' && s[0] != '"' && s[0] < 0x7f {
		return fmt.Sprintf("%c*%d", s[0], len(s))
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == '"' || r >= 0x7f || r == '\\' || r == '*' || r == '@'
	}) {
		return strconv.Quote(s)
	}
	return s
}
