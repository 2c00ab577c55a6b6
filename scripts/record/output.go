package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// chunk is what a terminal was sent at one moment.
type chunk struct {
	at   time.Duration // since the start
	data string
}

// output is all that it was sent.
type output []chunk

// text is that without times.
func (o output) text() string {
	var b strings.Builder
	for _, c := range o {
		b.WriteString(c.data)
	}
	return b.String()
}

// header is the first line of a recording (asciicast v2).
type header struct {
	Version   int               `json:"version"`
	Width     int               `json:"width"`
	Height    int               `json:"height"`
	Timestamp int64             `json:"timestamp"`
	Title     string            `json:"title"`
	Env       map[string]string `json:"env"`
}

// writeCast writes a recording as asciicast v2. A character that came in two parts is
// put together: JSON has whole ones only.
func writeCast(w io.Writer, began time.Time, o output) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	err := out.Encode(header{
		Version: 2, Width: columns, Height: rows, Timestamp: began.Unix(),
		Title: "gearman-manager: changing a fleet that runs", Env: map[string]string{"TERM": "xterm-256color", "SHELL": "/bin/sh"},
	})
	var part string
	for _, c := range o {
		data := part + c.data
		whole := len(data) - partial(data)
		data, part = data[:whole], data[whole:]
		if data != "" {
			err = errors.Join(err, out.Encode([]any{c.at.Round(time.Millisecond).Seconds(), "o", data}))
		}
	}
	if err != nil || part != "" {
		return fmt.Errorf("write recording: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// partial is the number of bytes at the end that begin a character and do not end it.
func partial(s string) int {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if rest := s[len(s)-n:]; utf8.RuneStart(rest[0]) {
			if utf8.FullRuneInString(rest) {
				return 0
			}
			return n
		}
	}
	return 0
}

var (
	// frame begins a page that is shown in the place of the one before.
	frame = regexp.MustCompile(`(\x1b\[2J)?\x1b\[H`)
	// dress is colour, and the erasure of what was there before.
	dress = regexp.MustCompile(`\x1b\[[0-9;]*[mKJ]`)
)

// errUnknownSequence is output that plain text cannot stand for.
var errUnknownSequence = errors.New("unknown control sequence")

// plain is the text of what was shown. Pages that replaced each other follow each other,
// with an empty line between them.
func plain(text string) (string, error) {
	text = strings.ReplaceAll(text, "\r", "")
	text = frame.ReplaceAllString(text, "\n")
	text = dress.ReplaceAllString(text, "")
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }); i >= 0 {
		return "", fmt.Errorf("%w: %q", errUnknownSequence, text[i:min(i+20, len(text))])
	}
	var b strings.Builder
	for l := range strings.Lines(strings.TrimSuffix(text, prompt)) {
		b.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	return b.String(), nil
}
