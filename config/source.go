package config

import (
	"slices"
	"strings"
)

// Source is a config that is not written as an ini file: what a program made of one in another form.
type Source struct {
	// Name is what problems call it, usually a file.
	Name string
	// Files are the others that it was made of, absolute.
	Files []string
	// Sections are the names of all sections, also of those without a value, in their order; each once.
	Sections []string
	// Values are in the order of the source.
	Values []Value
}

// Value is one value of a [Source].
type Value struct {
	Section, Key string
	// Texts holds one text, or those of a list. Without any the key counts as not set, and so it does with one that is empty.
	Texts []string
	// List is set for a list, whatever the number of its entries.
	List bool
	// Off is set for an empty text that means off, as a bare no does in an ini file.
	Off bool
	// Fault is empty, or says what is wrong with the value and what is wanted.
	Fault string
}

// FromSource is [Load] for a config in another form. The lines of its problems and origins are 0, but those of ini files that it
// includes, which are read.
func FromSource(source Source, overrides Overrides) (*Config, []Problem) {
	var statements []statement
	var unknown []Problem
	for _, section := range source.Sections {
		statements = append(statements, statement{section: section, header: true})
	}
	for _, v := range source.Values {
		if !writable(v.Key) {
			unknown = append(unknown, Problem{
				File: source.Name, Section: v.Section, Key: v.Key, Severity: Warning, Message: "the key is unknown and has no effect, want a key of the reference",
			})
			continue
		}
		statements = append(statements, v.statements()...)
	}
	doc := newDocument(source.Name, statements)
	doc.others = source.Files
	return load(doc, append(unknown, doc.include()...), overrides)
}

// writable reports whether the text could stand as a key in an ini file; the names of all keys can.
func writable(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// statements returns the assignments of which the value is made.
func (v Value) statements() []statement {
	texts := v.Texts
	if v.Fault != "" && len(texts) == 0 {
		texts = []string{""}
	}
	out := make([]statement, len(texts))
	for i, text := range slices.All(texts) {
		out[i] = statement{
			section: v.Section, key: v.Key, list: v.List,
			value: rawValue{text: text, quoted: true, off: v.Off, fault: v.Fault},
		}
	}
	return out
}
