package config

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// When says which settings of a key a [Difference] is about.
type When string

const (
	// WhenOn is a value that is neither the default nor 0 or off.
	WhenOn When = "set"
	// WhenOff is 0 or off, and not the default.
	WhenOff When = "set to 0"
	// WhenFlag is a value of a flag.
	WhenFlag When = "set by flag"
	// WhenFunction is a value in the section of a function.
	WhenFunction When = "set for a function"
	// WhenSpaced is a list in one text with spaces beside its commas.
	WhenSpaced When = "set with spaces in the list"
	// WhenUnset is a key that [GearmanManager] does not set.
	WhenUnset When = "not set"
)

// Difference is something about a key that is not here as it was in GearmanManager: what it did not do, or did otherwise.
type Difference struct {
	When When
	// What says what was there and what is here, Do what to do about it, where there is something to do. Both lack the period.
	What, Do string
}

// Note is something that is not as it was in GearmanManager, at the place in a config that it is about.
type Note struct {
	// File, Line, Section, Key and Flag say where, as those of a [Problem]. A note on a key that is not set has no file, a note on the
	// whole fleet none of them.
	File    string `json:"file"`
	Line    int    `json:"line"`
	Section string `json:"section"`
	Key     string `json:"key"`
	Flag    string `json:"flag,omitempty"`
	// Value is what the key is set to, empty when it is not.
	Value string `json:"value"`
	// Comes is what the value comes to, such as a number of workers; empty where the value says it.
	Comes string `json:"comes"`
	// What and Do are those of a [Difference].
	What string `json:"what"`
	Do   string `json:"do"`
}

// Place returns "file:line: [section] key = value: what it comes to", leaving out what there is not; empty for a note on the whole fleet.
func (n Note) Place() string {
	at := Problem{File: n.File, Line: n.Line, Section: n.Section, Key: n.Key, Flag: n.Flag}
	switch {
	case n.Key == "":
		return ""
	case n.Value == "":
		at.Message = "not set"
		return at.String()
	default:
		place := strings.TrimSuffix(at.String(), ": ") + " = " + printable(n.Value)
		if n.Comes != "" {
			place += ": " + n.Comes
		}
		return place
	}
}

// NoteAt makes a note at a value of the config.
func (c *Config) NoteAt(section, key, what, do string) Note {
	_, origin := c.find(section, key)
	return Note{
		File: origin.File, Line: origin.Line, Section: origin.Section, Key: origin.Key, Flag: origin.Flag,
		Value: c.values[place{origin.Section, key}].text, What: what, Do: do,
	}
}

// Differences returns a note for each [Difference] of a key that matters for this config: those on keys that are set in the order of the
// file, flags first, and then those on keys that are not.
func (c *Config) Differences() []Note {
	var notes []Note
	for _, at := range c.places() {
		v := c.values[at]
		k, _ := c.keys.find(at.key, at.section)
		for _, d := range k.Differences {
			if c.concerns(d.When, k, v) {
				notes = append(notes, c.NoteAt(at.section, at.key, d.What, d.Do))
			}
		}
		if k.NotYet != "" && !k.Ours && !c.isDefault(k, v.typed) {
			notes = append(notes, c.NoteAt(at.section, at.key, "it "+k.NotYet, ""))
		}
	}
	for _, k := range c.keys {
		_, set := c.values[place{GlobalSection, k.Name}]
		for _, d := range k.Differences {
			if d.When == WhenUnset && !set {
				notes = append(notes, Note{Section: GlobalSection, Key: k.Name, What: d.What, Do: d.Do})
			}
		}
	}
	return notes
}

// places returns where values are set, in the order in which that was found.
func (c *Config) places() []place {
	return slices.SortedFunc(maps.Keys(c.values), func(a, b place) int {
		return cmp.Compare(c.values[a].number, c.values[b].number)
	})
}

// concerns reports whether a difference is about a value.
func (c *Config) concerns(when When, k Key, v value) bool {
	off := reflect.ValueOf(v.typed).IsZero()
	switch when {
	case WhenOn:
		return !off && !c.isDefault(k, v.typed)
	case WhenOff:
		return off && !c.isDefault(k, v.typed)
	case WhenFlag:
		return v.origin.Flag != ""
	case WhenFunction:
		return v.origin.Section != GlobalSection
	case WhenSpaced:
		return v.spaced
	case WhenUnset:
	}
	return false
}

// HasOwnKeys reports whether a key is set that GearmanManager did not have, those that choose the interpreter aside: whoever set it has
// left GearmanManager.
func (c *Config) HasOwnKeys() bool {
	for at := range c.values {
		if k, ok := c.keys.find(at.key, at.section); ok && k.Ours && !strings.HasPrefix(k.Name, "php") {
			return true
		}
	}
	return false
}

// spaced reports whether it is a list in one text with spaces beside its commas.
func (it *item) spaced() bool {
	if it.list || !strings.Contains(it.values[0], ",") {
		return false
	}
	return slices.ContainsFunc(strings.Split(it.values[0], ","), func(entry string) bool {
		return entry != strings.TrimSpace(entry)
	})
}
