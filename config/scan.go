package config

import (
	"slices"
	"strings"
)

// statement is one section header or one assignment of the file.
type statement struct {
	file string
	line int
	// start and equals are the offsets at which it begins and of its equals sign.
	start, equals int
	// section is the section it begins or stands in; empty before the first one.
	section string
	// header is true for a section header; the rest is for assignments.
	header bool
	key    string
	// list is true for key[] = value.
	list  bool
	value rawValue
}

// scanner splits a file into statements and knows on which line each begins. It never stops at a fault: it notes it and goes on with
// the next line.
type scanner struct {
	file string
	src  string
	keys table
	// lines holds the offset at which each line begins.
	lines      []int
	section    string
	statements []statement
	problems   []Problem
}

// scan returns the statements of src in order, and what is wrong with those that are missing.
func scan(file, src string, keys table) ([]statement, []Problem) {
	src = strings.TrimPrefix(src, "\ufeff")
	s := &scanner{file: file, src: src, keys: keys, lines: lineStarts(src)}
	for pos := 0; pos < len(src); {
		pos = s.statement(skipBlanks(src, pos))
		for pos < len(src) && (src[pos] == '\r' || src[pos] == '\n') {
			pos++
		}
	}
	return s.statements, s.problems
}

// lineStarts returns the offsets at which lines begin; \n, \r\n and \r end a line, as for PHP.
func lineStarts(src string) []int {
	starts := []int{0}
	for i := range len(src) {
		if src[i] == '\n' || src[i] == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// line returns the number of the line that holds the offset, counted from 1.
func (s *scanner) line(pos int) int {
	i, found := slices.BinarySearch(s.lines, pos)
	if found {
		return i + 1
	}
	return i
}

// note adds a problem at the offset.
func (s *scanner) note(pos int, key string, severity Severity, message string) {
	s.problems = append(s.problems, Problem{
		File: s.file, Line: s.line(pos), Section: s.section, Key: key, Severity: severity, Message: message,
	})
}

// statement reads what begins at pos and returns the offset of the line end behind it.
func (s *scanner) statement(pos int) int {
	end := lineEnd(s.src, pos)
	switch {
	case pos == end || s.src[pos] == ';':
		return end
	case s.src[pos] == '[':
		return s.header(pos)
	default:
		return s.assignment(pos)
	}
}

// header reads a section header. One that is broken still begins a section, so that what follows is not put into the one before.
func (s *scanner) header(pos int) int {
	end := lineEnd(s.src, pos)
	name, next, fault := sectionName(s.src[pos+1 : end])
	s.section = strings.Trim(name, " \t")
	s.statements = append(s.statements, statement{line: s.line(pos), start: pos, section: s.section, header: true})
	switch rest := strings.TrimLeft(s.src[pos+1+next:end], " \t"); {
	case fault != "":
		s.note(pos, "", Error, fault)
	case strings.Contains(name, "${"):
		s.note(pos, "", Error, "${NAME} is not replaced in the name of a section, want the name itself")
	case s.section == "":
		s.note(pos, "", Error, "the section has no name, want [function] or ["+GlobalSection+"]")
	case rest != "" && rest[0] != ';':
		s.note(pos, "", Error, "text stands behind the closing bracket, want it on a line of its own")
	case s.section != name:
		s.note(pos, "", Warning, "spaces around the name are left out, want [name]")
	}
	return end
}

// sectionName reads the name of a section up to its closing bracket; next is the offset behind the bracket.
func sectionName(line string) (name string, next int, fault string) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ']':
			return b.String(), i + 1, ""
		case c == '\'' || c == '"':
			n := strings.IndexByte(line[i+1:], c)
			if n < 0 {
				return strings.TrimRight(b.String(), "]"), len(line), "the quote in the section's name is not closed, want [name]"
			}
			b.WriteString(line[i+1 : i+1+n])
			i += n + 1
		case c == ';':
			return b.String(), len(line), "the section is not closed before the comment, want [name]"
		case c < ' ' || c == 0x7f:
			return b.String(), len(line), "a control character stands in the section's name, want [name]"
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), len(line), "the section is not closed, want [name]"
}

// assignment reads key = value or key[] = value.
func (s *scanner) assignment(pos int) int {
	end := lineEnd(s.src, pos)
	n := strings.IndexAny(s.src[pos:end], "=;")
	if n < 0 || s.src[pos+n] == ';' {
		s.noValue(pos, end)
		return end
	}
	key, list, fault := keyName(strings.TrimRight(s.src[pos:pos+n], " \t"))
	if s.src[pos] == '#' {
		s.note(pos, "", Warning, "a line that begins with # is an assignment in PHP's ini files, not a comment; it is skipped, want ; before a comment")
		return end
	}
	if fault != "" {
		s.note(pos, key, Error, fault)
		return end
	}
	k, _ := s.keys.find(key, s.section)
	value := readValue(s.src, pos+n+1, k.Type == Command)
	if value.fault != "" {
		s.note(pos, key, Error, value.fault)
		return lineEnd(s.src, pos)
	}
	if k.Type == Command {
		k.readCommand(&value)
	}
	for _, name := range value.missing {
		s.note(pos, key, Warning, "there is no "+name+" in the environment, so nothing stands in its place, want it set, or ${"+name+":-default}")
	}
	s.statements = append(s.statements, statement{
		line: s.line(pos), start: pos, equals: pos + n, section: s.section, key: key, list: list, value: value,
	})
	return value.end
}

// readCommand sets the text of a command line. Without quotes around it, a word such as null is one that may not be set, but a program's
// name where one is wanted.
func (k Key) readCommand(v *rawValue) {
	if replaced, ok := keyword(v.source); ok && k.Where == Global && replaced == "" {
		v.text = ""
		return
	}
	var e *expansion
	switch {
	case !v.quoted:
		e = expandCommand(v.source)
	case v.double:
		e = expandQuotedCommand(v.body)
	default:
		return
	}
	v.text, v.env, v.missing = e.text.String(), e.used, e.missing
}

// noValue notes a line without an assignment.
func (s *scanner) noValue(pos, end int) {
	text := s.src[pos:end]
	if i := strings.IndexByte(text, ';'); i >= 0 {
		text = text[:i]
	}
	text = strings.TrimRight(text, " \t")
	switch {
	case text[0] == '#':
		s.note(pos, "", Warning, "a line that begins with # is no comment in PHP's ini files; it is skipped, want ; before a comment")
	case strings.ContainsAny(text, "\x00\"[]"+operators+"{}$"):
		s.note(pos, "", Error, "the line is neither a section nor an assignment, want name = value")
	default:
		s.note(pos, text, Warning, "the key has no value and counts as not set, want name = value")
	}
}

// keyName splits what stands left of the = into the name and the sign of a list.
func keyName(text string) (name string, list bool, fault string) {
	if i := strings.IndexByte(text, '['); i >= 0 && strings.HasSuffix(text, "]") {
		name, list = strings.TrimRight(text[:i], " \t"), true
	} else {
		name = text
	}
	_, reserved := keyword(name)
	switch {
	case name == "":
		fault = "no name stands before the =, want name = value"
	case reserved:
		fault = "the word " + name + " cannot be a key, want name = value"
	case strings.ContainsAny(name, "\x00\t\"[]"+operators+"{}$"):
		fault = "a key cannot hold control characters, quotes, brackets or operators, want name = value"
	}
	return name, list, fault
}
