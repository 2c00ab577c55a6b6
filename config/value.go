package config

import (
	"fmt"
	"strings"
)

// rawValue is the right side of an assignment as it stands in the file, and what PHP makes of it.
type rawValue struct {
	// text is PHP's reading: quotes gone, comment gone, words such as yes replaced.
	text string
	// source is the value as written, without the comment and the space around it.
	source string
	// quoted is true when the whole value is one quoted text.
	quoted bool
	// body is what stands between the quotes when the whole value is one text in double quotes, which double says.
	body   string
	double bool
	// env is true when something in it comes from the environment, missing holds the names of the variables that are not there.
	env     bool
	missing []string
	// off is true for a bare word such as no, which has become an empty text.
	off bool
	// start is the offset of source.
	start int
	// end is the offset of the line end (or of the end of the file) behind the value.
	end int
	// fault says why the value cannot be read, empty when it can.
	fault string
}

// unclosed is the fault of a value with a quote that is never closed.
const unclosed = "a quote that is opened here is never closed, want the closing quote"

// operators are the characters with which PHP's ini files compute.
const operators = "&|^~()!"

// lexer reads one value. It is PHP's lexer for values in normal mode, less what doc.go lists.
type lexer struct {
	src string
	pos int
	// shell leaves operators, = and $ alone, and takes a backslash outside quotes as a shell does.
	shell bool
	out   expansion
	// body is what stands between the last double quotes; double is true when no single quotes came behind them.
	body   string
	double bool
	// parts counts what the value is made of: words, quoted texts.
	parts  int
	quotes int
	// keyword is set when a word such as yes was read.
	keyword bool
	fault   string
}

// readValue reads the value that begins at offset pos of src.
func readValue(src string, pos int, shell bool) rawValue {
	l := &lexer{src: src, pos: skipBlanks(src, pos), shell: shell}
	start, stop := l.pos, l.pos
	for l.fault == "" && l.step() {
		stop = l.pos
	}
	if l.keyword && l.parts > 1 {
		l.fail("a word like yes, no, on, off, none or null stands beside other text, want the whole value in quotes")
	}
	v := rawValue{
		text: l.out.text.String(), env: l.out.used, missing: l.out.missing, source: strings.TrimRight(src[start:stop], " \t"),
		start: start, quoted: l.parts == 1 && l.quotes == 1, fault: l.fault,
	}
	if v.quoted {
		v.body, v.double = l.body, l.double
	}
	v.off = l.keyword && v.text == "" && !strings.EqualFold(v.source, "null")
	v.end = lineEnd(src, l.pos)
	return v
}

// fail notes the first thing that is wrong.
func (l *lexer) fail(format string, args ...any) {
	if l.fault == "" && !l.shell {
		l.fault = fmt.Sprintf(format, args...)
	}
}

// step reads the next part of the value and returns false at its end.
func (l *lexer) step() bool {
	if l.pos >= len(l.src) {
		return false
	}
	switch c := l.src[l.pos]; {
	case c == '\n', c == '\r', c == ';':
		return false
	case c == ' ', c == '\t':
		l.blanks()
	case c == '"':
		l.doubleQuoted()
	case c == '\'':
		l.singleQuoted()
	case l.atReference():
		l.variable()
	default:
		l.word()
	}
	return true
}

// blanks reads space between parts; PHP drops it before a double quote and at the end of the value.
func (l *lexer) blanks() {
	end := skipBlanks(l.src, l.pos)
	if end < len(l.src) && !strings.ContainsRune("\r\n;\"", rune(l.src[end])) {
		l.literal(l.src[l.pos:end])
	}
	l.pos = end
}

// singleQuoted reads a text in which no character is special.
func (l *lexer) singleQuoted() {
	n := strings.IndexByte(l.src[l.pos+1:], '\'')
	if n < 0 {
		l.fault = unclosed
		return
	}
	if next := skipBlanks(l.src, l.pos+2); n == 0 && next < len(l.src) && !strings.ContainsRune("\r\n;", rune(l.src[next])) {
		l.fail("an empty pair of single quotes ends the value in PHP's ini files, want nothing behind it, or double quotes")
	}
	l.literal(l.src[l.pos+1 : l.pos+1+n])
	l.pos += n + 2
	if n > 0 {
		l.double = false
		l.parts++
		l.quotes++
	}
}

// atReference reports whether a reference begins here. In a command line they are replaced later.
func (l *lexer) atReference() bool { return !l.shell && strings.HasPrefix(l.src[l.pos:], "${") }

// variable reads a reference outside quotes.
func (l *lexer) variable() {
	ref, length := readReference(l.src[l.pos:], referenceForm)
	if length == 0 {
		l.fail(notReference)
		return
	}
	l.reference(ref)
	l.pos += length
	l.parts++
}

// literal, reference and malformed take what stands between double quotes.
func (l *lexer) literal(text string) { l.out.text.WriteString(text) }

func (l *lexer) reference(ref reference) { l.out.text.WriteString(l.out.resolve(ref)) }

func (l *lexer) malformed() bool {
	l.fail(notReference)
	return false
}

// doubleQuoted reads a text with references. Space behind it is dropped.
func (l *lexer) doubleQuoted() {
	end := quoteEnd(l.src, l.pos+1)
	if end < 0 {
		l.fault = unclosed
		return
	}
	l.body, l.double = l.src[l.pos+1:end], true
	if !l.shell {
		segments(l.body, l)
	}
	l.pos = end + 1
	l.parts++
	l.quotes++
	if !l.shell {
		l.pos = skipBlanks(l.src, l.pos)
	}
}

// quoteEnd returns the offset of the double quote that closes the text that begins at pos, or -1. A backslash protects what follows
// it, but a protected quote at the end of a line closes all the same; that is how PHP lets "c:\dir\" be written.
func quoteEnd(src string, pos int) int {
	for i := pos; i < len(src); i++ {
		switch {
		case src[i] == '"':
			return i
		case src[i] != '\\' || i+1 == len(src):
		case src[i+1] == '"' && (i+2 == len(src) || src[i+2] == '\n' || src[i+2] == '\r'):
			return i + 1
		default:
			i++
		}
	}
	return -1
}

// word reads up to the next space, quote, reference or end.
func (l *lexer) word() {
	start := l.pos
	for l.pos < len(l.src) && l.fault == "" {
		c := l.src[l.pos]
		if strings.IndexByte(" \t\r\n;\"'", c) >= 0 || l.atReference() {
			break
		}
		l.special(c)
		l.pos++
		if c == '\\' && l.shell && l.pos < len(l.src) && l.src[l.pos] != '\n' && l.src[l.pos] != '\r' {
			l.pos++
		}
	}
	text := l.src[start:l.pos]
	l.parts++
	if replaced, ok := keyword(text); ok && !l.shell {
		l.keyword = true
		text = replaced
		l.pos = skipBlanks(l.src, l.pos)
	}
	l.literal(text)
}

// special notes a character that PHP would not take as it stands.
func (l *lexer) special(c byte) {
	switch {
	case c == 0:
		l.fault = "a zero byte stands in the value, want text"
	case c == '=':
		l.fail("a second = stands in the value, want the value in quotes")
	case strings.IndexByte(operators, c) >= 0:
		l.fail("the character %c computes in PHP's ini files, want the value in quotes", c)
	case c == '$' && (strings.HasPrefix(l.src[l.pos+1:], "${") || l.pos+1 == len(l.src) || strings.IndexByte(" \t\r\n;\"'\\=\x00"+operators, l.src[l.pos+1]) >= 0):
		l.fail("a $ before a special character swallows it in PHP's ini files, want the value in single quotes")
	}
}

// keyword returns what PHP puts in place of a bare word.
func keyword(word string) (string, bool) {
	switch strings.ToLower(word) {
	case "true", "on", "yes":
		return "1", true
	case "false", "off", "no", "none", "null":
		return "", true
	default:
		return "", false
	}
}

// skipBlanks returns the offset of the first character at or behind pos that is no space or tab.
func skipBlanks(src string, pos int) int {
	for pos < len(src) && (src[pos] == ' ' || src[pos] == '\t') {
		pos++
	}
	return pos
}

// lineEnd returns the offset of the first line end at or behind pos, or the length of src.
func lineEnd(src string, pos int) int {
	if n := strings.IndexAny(src[pos:], "\r\n"); n >= 0 {
		return pos + n
	}
	return len(src)
}
