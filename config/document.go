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
	// env is true when a part of it came from the environment; it is never shown then, but its source is, which is as it was written.
	env    bool
	source string
	// fault is what a value of a Source is said to be wrong with.
	fault  string
	origin Origin
}

// document is a config file and those that it includes, after PHP's rules for repeated keys and sections: one item for each key.
type document struct {
	// files holds what was added, the config file first.
	files []string
	// patterns are those of the files that it includes.
	patterns []string
	// others are further files that it was made of.
	others []string
	order  []place
	items  map[place]*item
	// sections holds where each section begins, names their order.
	sections map[string]Origin
	names    []string
	problems []Problem
}

// newDocument makes a document of the statements of a config file.
func newDocument(file string, statements []statement) *document {
	d := &document{items: map[place]*item{}, sections: map[string]Origin{}}
	d.add(file, statements)
	return d
}

// file returns the config file itself.
func (d *document) file() string { return d.files[0] }

// add applies PHP's rules for repetitions to the statements of one more file.
func (d *document) add(file string, statements []statement) {
	d.files = append(d.files, file)
	for _, s := range statements {
		s.file = file
		if s.header {
			d.header(s)
		} else {
			d.assign(s)
		}
	}
}

// note adds a problem of a file.
func (d *document) note(s statement, severity Severity, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: s.file, Line: s.line, Section: s.section, Key: s.key,
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
		d.note(s, Error, "the section stands twice, first in %s, want %s", first.seenFrom(s.file), onceIn(s.section))
		return
	case s.section != GlobalSection && strings.EqualFold(s.section, GlobalSection):
		d.note(s, Error, "the name of the section is written differently, want [%s]", GlobalSection)
	}
	d.sections[s.section] = Origin{File: s.file, Line: s.line, Section: s.section}
	d.names = append(d.names, s.section)
}

// onceIn says where what is in a section is to stand.
func onceIn(section string) string {
	if section == GlobalSection {
		return "all its keys there"
	}
	return "one section for each function"
}

// assign sets a key, or appends to it.
func (d *document) assign(s statement) {
	if s.section == "" {
		want := GlobalSection
		if s.file != d.file() {
			want = "function"
		}
		d.note(s, Error, "the key stands before the first section, want [%s] above it", want)
		return
	}
	if s.file != d.file() && s.includes() {
		d.note(s, Error, "a file that is included cannot include others, want this in %s", d.file())
		return
	}
	at := place{s.section, s.key}
	text := s.value.text
	old, exists := d.items[at]
	if exists && old.list && s.list {
		old.values = append(old.values, text)
		old.env = old.env || s.value.env
		old.source += "," + s.value.source
		return
	}
	if exists {
		d.note(s, Warning, "the key stands twice, first in %s; this one counts, want it once", old.origin.seenFrom(s.file))
	} else {
		d.order = append(d.order, at)
	}
	d.items[at] = &item{
		values: []string{text}, list: s.list, quoted: s.value.quoted, off: s.value.off, fault: s.value.fault,
		env: s.value.env, source: s.value.source,
		origin: Origin{File: s.file, Line: s.line, Section: s.section, Key: s.key},
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
