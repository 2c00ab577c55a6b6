package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/ini.v1"
)

// place is a key in a section.
type place struct{ section, key string }

// item is a value as it was given: by the file or by a flag.
type item struct {
	// values holds one text, or several for key[] = value.
	values []string
	list   bool
	// quoted is true when a single value was written wholly in quotes; always true for a flag.
	quoted bool
	// off is true for a bare word such as no.
	off bool
	// fault is what a value of a Source is said to be wrong with.
	fault  string
	origin Origin
}

// document is a config file after PHP's rules for repeated keys and sections: one item for each key.
type document struct {
	file  string
	order []place
	items map[place]*item
	// sections holds the line of each section, names their order.
	sections map[string]int
	names    []string
	problems []Problem
}

// newDocument applies PHP's rules for repetitions to the statements.
func newDocument(file string, statements []statement) *document {
	d := &document{file: file, items: map[place]*item{}, sections: map[string]int{}}
	for _, s := range statements {
		if s.header {
			d.header(s)
		} else {
			d.assign(s)
		}
	}
	return d
}

// note adds a problem of the file.
func (d *document) note(s statement, severity Severity, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.file, Line: s.line, Section: s.section, Key: s.key,
		Severity: severity, Message: fmt.Sprintf(format, args...),
	})
}

// header begins a section.
func (d *document) header(s statement) {
	first, twice := d.sections[s.section]
	switch {
	case s.section == "":
		return
	case twice:
		d.note(s, Error, "the section stands twice, first in line %d, want one section for each function", first)
		return
	case s.section != GlobalSection && strings.EqualFold(s.section, GlobalSection):
		d.note(s, Error, "the name of the section is written differently, want [%s]", GlobalSection)
	}
	d.sections[s.section] = s.line
	d.names = append(d.names, s.section)
}

// assign sets a key, or appends to it.
func (d *document) assign(s statement) {
	if s.section == "" {
		d.note(s, Error, "the key stands before the first section, want [%s] above it", GlobalSection)
		return
	}
	at := place{s.section, s.key}
	text := s.value.text
	old, exists := d.items[at]
	if exists && old.list && s.list {
		old.values = append(old.values, text)
		return
	}
	if exists {
		d.note(s, Warning, "the key stands twice, first in line %d; this one counts, want it once", old.origin.Line)
	} else {
		d.order = append(d.order, at)
	}
	d.items[at] = &item{
		values: []string{text}, list: s.list, quoted: s.value.quoted, off: s.value.off, fault: s.value.fault,
		origin: Origin{File: d.file, Line: s.line, Section: s.section, Key: s.key},
	}
}

// plain writes the document as the plainest ini file there is: every key and value quoted, one statement a line.
func (d *document) plain() []byte {
	var b bytes.Buffer
	section := ""
	for _, at := range d.order {
		if at.section != section {
			section = at.section
			fmt.Fprintf(&b, "[%s]\n", strconv.QuoteToASCII(section))
		}
		for _, value := range d.items[at].values {
			fmt.Fprintf(&b, "%s = %s\n", strconv.QuoteToASCII(at.key), strconv.QuoteToASCII(value))
		}
	}
	return b.Bytes()
}

// loadPlain gives the text of plain to ini.v1 with everything switched off that it would read into it.
func loadPlain(text []byte) (*ini.File, error) {
	file, err := ini.LoadSources(ini.LoadOptions{
		IgnoreContinuation:         true,
		IgnoreInlineComment:        true,
		PreserveSurroundedQuote:    true,
		AllowShadows:               true,
		AllowDuplicateShadowValues: true,
		KeyValueDelimiters:         "=",
		ChildSectionDelimiter:      "\x00",
	}, text)
	if err != nil {
		return nil, fmt.Errorf("read ini: %w", err)
	}
	return file, nil
}

// texts returns the values of a key as ini.v1 holds them, without the quotes that plain put around them.
func texts(file *ini.File, at place) ([]string, error) {
	key := strings.Trim(strconv.QuoteToASCII(at.key), `"`) // ini.v1 takes the quotes off a key, but not the escapes between them
	quoted := file.Section(strconv.QuoteToASCII(at.section)).Key(key).ValueWithShadows()
	values := make([]string, len(quoted))
	for i, q := range quoted {
		text, err := strconv.Unquote(q)
		if err != nil {
			return nil, fmt.Errorf("internal error: value of [%s] %s: %w", at.section, at.key, err)
		}
		values[i] = text
	}
	return values, nil
}
