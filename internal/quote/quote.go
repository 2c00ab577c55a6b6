// Package quote picks and shortens what other programs have printed, for errors
// that quote it.
package quote

import (
	"strings"
	"unicode/utf8"
)

// Max is how many bytes of a foreign line stand in an error.
const Max = 300

// Line cuts a line to a bearable length, at the end of a character.
func Line(line string) string {
	if len(line) <= Max {
		return line
	}
	end := Max
	for end > Max-utf8.UTFMax && !utf8.RuneStart(line[end]) {
		end--
	}
	return line[:end] + "…"
}

// Telling finds the line that says most of why a program has ended: where Go
// panicked or PHP had a fatal error that line, which is followed by a trace,
// otherwise the last that is not empty.
func Telling(lines []string) string {
	last := ""
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if decisive(line) {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}

func decisive(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") ||
		strings.Contains(line, "Fatal error: ") || strings.Contains(line, "Parse error: ")
}
