package config

import (
	"slices"
	"strconv"
	"strings"
)

// Severity says whether a problem keeps the manager from starting.
type Severity string

const (
	// Error is a problem that has to be mended before the config can be used.
	Error Severity = "error"
	// Warning is something that is probably not what was meant; the config is used.
	Warning Severity = "warning"
)

// Problem is one thing that is wrong with a config, at the place where it can be mended.
type Problem struct {
	// File is the config file as it was named to [Load]; empty for a problem of a flag or of the whole.
	File string `json:"file"`
	// Line counts from 1; 0 means the whole file.
	Line int `json:"line"`
	// Section and Key are empty where there is none.
	Section string `json:"section"`
	Key     string `json:"key"`
	// Severity is [Error] or [Warning].
	Severity Severity `json:"severity"`
	// Message says what is wrong and what is wanted, without repeating the place.
	Message string `json:"message"`
	// Flag is the command line flag that gave the value, such as "-D"; empty when the file did.
	Flag string `json:"flag,omitempty"`
}

// String returns the problem as one line, "file:line: [section] key: message", leaving out what is not known.
func (p Problem) String() string {
	var parts []string
	switch {
	case p.Flag != "":
		parts = append(parts, "flag "+p.Flag)
	case p.File != "" && p.Line > 0:
		parts = append(parts, p.File+":"+strconv.Itoa(p.Line))
	case p.File != "":
		parts = append(parts, p.File)
	}
	if place := p.place(); place != "" {
		parts = append(parts, place)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// place returns "[section] key", or the one of both that is known.
func (p Problem) place() string {
	switch {
	case p.Section == "" || p.Flag != "":
		return printable(p.Key)
	case p.Key == "":
		return "[" + printable(p.Section) + "]"
	default:
		return "[" + printable(p.Section) + "] " + printable(p.Key)
	}
}

// maxShown bounds the length of a name in a line of text.
const maxShown = 80

// printable returns a name so that it cannot disturb a terminal or a log line.
func printable(name string) string {
	if len(name) > maxShown {
		name = strings.ToValidUTF8(name[:maxShown], "") + "..."
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// HasErrors reports whether one of the problems is an [Error].
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error })
}
