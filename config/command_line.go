package config

import "strings"

// commandLine replaces references in a command line so that what comes in their place is text and never a quote, whatever it holds: between
// quotes it is part of one word, outside them its spaces part words, as in a shell.
type commandLine struct {
	expansion
	// quote is the quote that the end of the text stands in, or 0; escaped is true behind a backslash that protects what follows.
	quote   byte
	escaped bool
}

// expandCommand replaces references in a command line without quotes of the file around it: where a shell would, so neither between
// single quotes nor behind a backslash.
func expandCommand(src string) *expansion {
	c := &commandLine{}
	for pos := 0; pos < len(src); pos++ {
		if src[pos] == '$' && c.quote != '\'' && !c.escaped {
			if ref, length := readReference(src[pos:], shellReferenceForm); length > 0 {
				c.reference(ref)
				pos += length - 1
				continue
			}
		}
		c.literal(src[pos : pos+1])
	}
	return &c.expansion
}

// expandQuotedCommand replaces references in the text between the double quotes of the file, as in any other value.
func expandQuotedCommand(body string) *expansion {
	c := &commandLine{}
	segments(body, c)
	return &c.expansion
}

// literal takes over text.
func (c *commandLine) literal(text string) {
	for i := range len(text) {
		switch b := text[i]; {
		case c.escaped:
			c.escaped = false
		case b == '\\' && c.quote != '\'':
			c.escaped = true
		case b == c.quote:
			c.quote = 0
		case c.quote == 0 && (b == '"' || b == '\''):
			c.quote = b
		}
	}
	c.text.WriteString(text)
}

// reference puts a value in its place.
func (c *commandLine) reference(ref reference) {
	if c.escaped {
		c.text.WriteByte('\\') // the backslash is one itself, it protects nothing of the value
		c.escaped = false
	}
	value := c.resolve(ref)
	switch c.quote {
	case '"':
		value = betweenQuotes.Replace(value)
	case '\'':
		value = strings.ReplaceAll(value, "'", `'\''`)
	default:
		value = quoteWords(value)
	}
	c.text.WriteString(value)
}

// malformed leaves what is no reference to the program: ${1#x} is the shell's.
func (c *commandLine) malformed() bool { return true }

// quoteWords puts each word in single quotes and leaves the space between and around them.
func quoteWords(text string) string {
	var b strings.Builder
	quoted := false
	for i := range len(text) {
		space := strings.IndexByte(" \t\r\n", text[i]) >= 0
		if space == quoted {
			b.WriteByte('\'')
			quoted = !space
		}
		switch {
		case space:
			b.WriteByte(' ')
		case text[i] == '\'':
			b.WriteString(`'\''`)
		default:
			b.WriteByte(text[i])
		}
	}
	if quoted {
		b.WriteByte('\'')
	}
	return b.String()
}

// betweenQuotes takes the meaning from what has one between double quotes.
var betweenQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`") //nolint:gochecknoglobals // a table that is built once
