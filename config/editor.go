package config

import (
	"errors"
	"slices"
	"strings"
)

// editor changes values in the text of an ini file.
type editor struct {
	file string
	keys table
	text string
	// statements are those of the text.
	statements []statement
}

// read finds the statements of the text. Where it has errors, what it means is not certain.
func (e *editor) read() error {
	statements, problems := scan(e.file, e.text, e.keys)
	problems = append(problems, newDocument(e.file, statements).problems...)
	if i := slices.IndexFunc(problems, func(p Problem) bool { return p.Severity == Error }); i >= 0 {
		p := problems[i]
		return &SaveError{File: p.File, Line: p.Line, Section: p.Section, Key: p.Key, Reason: "the file has an error: " + p.Message}
	}
	e.statements = statements
	return nil
}

// apply makes one change in the text and returns what was written for the value.
func (e *editor) apply(c Change) (written rawValue, err error) {
	fail := func(line int, reason string) (rawValue, error) {
		return written, &SaveError{File: e.file, Line: line, Section: c.Section, Key: c.Key, Reason: reason}
	}
	k, reason := e.check(c)
	if reason != "" {
		return fail(0, reason)
	}
	at := e.find(c)
	if at < 0 {
		return e.insert(k, c)
	}
	s := e.statements[at]
	switch {
	case s.list:
		return fail(s.line, "the value is a list, want it changed by hand")
	case s.value.env:
		return fail(s.line, "a variable of the environment stands in the value, want it changed there, or the value by hand")
	case k.means(s.value, c.Value):
		return s.value, nil
	}
	text, written, ok := k.write(c, quoteStyle(s.value))
	if !ok {
		return fail(s.line, "the value cannot be written in an ini file, want plain text")
	}
	e.replace(s, text)
	return written, nil
}

// check returns the key of a change, or why it cannot be made.
func (e *editor) check(c Change) (k Key, reason string) {
	k, ok := e.keys.find(c.Key, c.Section)
	if !ok {
		return k, "there is no such key there, want a key of the reference"
	}
	if c.Section != GlobalSection {
		if err := CheckFunctionName(c.Section); err != nil {
			return k, err.Error()
		}
	}
	if c.Value != "" {
		if _, err := k.convert(&item{values: []string{c.Value}, quoted: true}, "/"); err != nil {
			return k, err.Error()
		}
	}
	return k, ""
}

// find returns the index of the statement that decides what the key is, or -1.
func (e *editor) find(c Change) int {
	for i, s := range slices.Backward(e.statements) {
		if !s.header && s.section == c.Section && s.key == c.Key {
			return i
		}
	}
	return -1
}

// replace puts another value in place of one.
func (e *editor) replace(s statement, text string) {
	start, stop := s.value.start, s.value.start+len(s.value.source)
	if start == stop {
		if start == s.equals+1 && isBlank(e.text[s.equals-1]) {
			text = " " + text
		}
		if start < len(e.text) && e.text[start] == ';' {
			text += " "
		}
	}
	e.text = e.text[:start] + text + e.text[stop:]
}

// insert adds a key to its section, and the section if it is not there.
func (e *editor) insert(k Key, c Change) (written rawValue, err error) {
	text, written, ok := k.write(c, bare)
	header, named := writeHeader(c.Section)
	if !ok || !named {
		return written, &SaveError{File: e.file, Section: c.Section, Key: c.Key, Reason: "it cannot be written in an ini file, want plain text"}
	}
	within := slices.DeleteFunc(slices.Clone(e.statements), func(s statement) bool { return s.section != c.Section })
	eol := lineEndStyle(e.text)
	if len(within) == 0 {
		e.text = withBlankLine(e.text, eol) + header + eol + e.layout(e.statements).line(c.Key, text) + eol
		return written, nil
	}
	last := within[len(within)-1]
	end := last.value.end
	if last.header {
		end = lineEnd(e.text, last.start)
	}
	like := within
	if len(within) == 1 {
		like = e.statements
	}
	e.text = e.text[:end] + eol + e.layout(like).line(c.Key, text) + e.text[end:]
	return written, nil
}

// withBlankLine returns a text that ends with a blank line, unless it has nothing but such.
func withBlankLine(text, eol string) string {
	last := text[1+strings.LastIndexAny(text, "\r\n"):]
	if last != "" {
		text += eol
	}
	before := strings.TrimSuffix(text, eol)
	if strings.Trim(before[1+strings.LastIndexAny(before, "\r\n"):], " \t") == "" {
		return text
	}
	return text + eol
}

// lineEndStyle returns the first line end of a text.
func lineEndStyle(text string) string {
	switch i := strings.IndexAny(text, "\r\n"); {
	case i < 0 || text[i] == '\n':
		return "\n"
	case strings.HasPrefix(text[i:], "\r\n"):
		return "\r\n"
	default:
		return "\r"
	}
}

// isBlank reports whether a character is a space or a tab.
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// layout is how assignments are written.
type layout struct {
	indent string
	// column is where the equals sign stands when all stand below each other, else 0.
	column int
	// before and after are the blanks around the equals sign.
	before, after string
}

// layout returns how these statements are written: as the last of them.
func (e *editor) layout(like []statement) layout {
	l := layout{before: " ", after: " "}
	columns, widths := map[int]struct{}{}, map[int]struct{}{}
	for _, s := range like {
		if s.header {
			continue
		}
		width := len(strings.TrimRight(e.text[s.start:s.equals], " \t"))
		columns[s.equals-s.start] = struct{}{}
		widths[width] = struct{}{}
		l.column = s.equals - s.start
		l.indent = e.text[e.lineStart(s.start):s.start]
		l.before = e.text[s.start+width : min(s.start+width+1, s.equals)]
		l.after = e.text[s.equals+1 : s.value.start]
		if s.value.source == "" {
			l.after = l.before
		}
	}
	if len(columns) != 1 || len(widths) < 2 {
		l.column = 0
	}
	return l
}

// lineStart returns the offset at which the line of an offset begins.
func (e *editor) lineStart(pos int) int { return 1 + strings.LastIndexAny(e.text[:pos], "\r\n") }

// line returns an assignment in this layout.
func (l layout) line(key, value string) string {
	before := l.before
	if pad := l.column - len(key); pad > 0 {
		before = strings.Repeat(" ", pad)
	}
	return l.indent + key + before + "=" + l.after + value
}

// style is how a value is quoted.
type style int

const (
	bare style = iota
	doubleQuotes
	singleQuotes
)

// quoteStyle returns how a value is quoted.
func quoteStyle(v rawValue) style {
	switch {
	case !v.quoted:
		return bare
	case v.double:
		return doubleQuotes
	default:
		return singleQuotes
	}
}

// write returns a value as it may stand in a file, in the style if that is possible, and how it is read there.
func (k Key) write(c Change, first style) (text string, read rawValue, ok bool) {
	ways := []string{bare: c.Value, doubleQuotes: `"` + protectInQuotes.Replace(c.Value) + `"`, singleQuotes: "'" + c.Value + "'"}
	if c.Value == "" {
		ways[bare] = ways[doubleQuotes]
	}
	for _, way := range []string{ways[first], ways[bare], ways[doubleQuotes], ways[singleQuotes]} {
		read = readValue(way, 0, k.Type == Command)
		if k.Type == Command {
			k.readCommand(&read)
		}
		if read.fault == "" && read.end == len(way) && read.source == way && !read.env && k.means(read, c.Value) {
			return way, read, true
		}
	}
	return "", read, false
}

// protectInQuotes takes the meaning from what has one between double quotes.
var protectInQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`) //nolint:gochecknoglobals // a table that is built once

// means reports whether a value is read as that text, or as the same switch.
func (k Key) means(v rawValue, text string) bool {
	is := v.text
	if v.off && k.hasOff() {
		is = "0"
	}
	if is == text || k.Type != Bool {
		return is == text
	}
	a, err := onOff(is)
	b, other := onOff(text)
	return errors.Join(err, other) == nil && a == b
}

// writeHeader returns the header of a section.
func writeHeader(name string) (header string, ok bool) {
	for _, way := range []string{"[" + name + "]", `["` + name + `"]`, "['" + name + "']"} {
		statements, problems := scan("", way, nil)
		if len(problems) == 0 && len(statements) == 1 && statements[0].header && statements[0].section == name {
			return way, true
		}
	}
	return "", false
}
