package config

import (
	"fmt"
	"slices"
)

// meaning is what the statements of a file say, wherever they stand.
type meaning struct {
	sections []string
	values   map[place]meant
}

// meant is what one key is.
type meant struct {
	texts     []string
	list, off bool
}

// meaning returns what the text says.
func (e *editor) meaning() *meaning {
	d := newDocument(e.file, e.statements)
	m := &meaning{sections: d.names, values: map[place]meant{}}
	for at, it := range d.items {
		m.values[at] = meant{texts: it.values, list: it.list, off: it.off}
	}
	return m
}

// set makes a change.
func (m *meaning) set(c Change, written rawValue) {
	if !slices.Contains(m.sections, c.Section) {
		m.sections = append(m.sections, c.Section)
	}
	m.values[place{c.Section, c.Key}] = meant{texts: []string{written.text}, off: written.off}
}

// differs names the first thing in which two meanings differ, empty when there is none.
func (m *meaning) differs(other *meaning) string {
	if !slices.Equal(m.sections, other.sections) {
		return "the sections"
	}
	for at, v := range m.values {
		if o, ok := other.values[at]; !ok || !slices.Equal(v.texts, o.texts) || v.list != o.list || v.off != o.off {
			return fmt.Sprintf("[%s] %s", printable(at.section), printable(at.key))
		}
	}
	if len(m.values) != len(other.values) {
		return "the number of keys"
	}
	return ""
}
