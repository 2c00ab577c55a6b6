package config

import (
	"os"
	"regexp"
	"strings"
)

// reference is ${NAME} or ${NAME:-default}.
type reference struct {
	name string
	// fallback is what it comes to when there is no such variable.
	fallback    string
	hasFallback bool
}

// referenceForm is what a reference looks like. A name or a default that PHP's ini files would read something else into is none.
var referenceForm = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^\x00-\x1f\x7f;"'$\\{}=&|^~()!]*)?\}`)

// shellReferenceForm is the same in a command line, where the default may be any text.
var shellReferenceForm = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^\x00-\x1f\x7f{}]*)?\}`)

// notReference is the fault of what begins like a reference and is none.
const notReference = "what begins with ${ is neither ${NAME} nor ${NAME:-default}, want one of these for a variable of the environment, or single quotes"

// readReference reads the reference with which a text begins; length is 0 when it begins with none.
func readReference(text string, form *regexp.Regexp) (ref reference, length int) {
	m := form.FindStringSubmatch(text)
	if m == nil {
		return ref, 0
	}
	fallback, has := strings.CutPrefix(m[2], ":-")
	return reference{name: m[1], fallback: fallback, hasFallback: has}, len(m[0])
}

// expansion is a text in which references are replaced.
type expansion struct {
	text strings.Builder
	// used is true when there was one, missing holds the names of those that came to nothing.
	used    bool
	missing []string
}

// resolve returns what a reference comes to. A variable that is there and empty is there, as for PHP, so its default does not count.
func (e *expansion) resolve(ref reference) string {
	e.used = true
	text, found := os.LookupEnv(ref.name)
	switch {
	case found:
		return text
	case !ref.hasFallback:
		e.missing = append(e.missing, ref.name)
	}
	return ref.fallback
}

// segmentSink takes the parts of a text between double quotes.
type segmentSink interface {
	literal(text string)
	reference(ref reference)
	// malformed is called for ${ without a reference and reports whether it is to be taken as text.
	malformed() bool
}

// segments reads a text between double quotes: a backslash protects a quote, a backslash and a dollar; before anything else it stays.
func segments(body string, to segmentSink) {
	for i := 0; i < len(body); i++ {
		if body[i] == '\\' && i+1 < len(body) {
			i++
			if strings.IndexByte(`"\$`, body[i]) < 0 {
				to.literal(`\`)
			}
			to.literal(body[i : i+1])
			continue
		}
		if strings.HasPrefix(body[i:], "${") {
			if ref, length := readReference(body[i:], referenceForm); length > 0 {
				to.reference(ref)
				i += length - 1
				continue
			}
			if !to.malformed() {
				return
			}
		}
		to.literal(body[i : i+1])
	}
}
