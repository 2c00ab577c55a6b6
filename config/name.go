package config

import (
	"fmt"
	"strings"
)

// maxFunctionName is how long a function's name may be; gearmand refuses longer ones.
const maxFunctionName = 512

// FunctionNameError says why a name cannot be a function's name.
type FunctionNameError struct {
	// Name is the name in question.
	Name string
	// Reason says what is wrong and what is wanted.
	Reason string
}

// Error returns the name, shortened when it is long, and the reason.
func (e *FunctionNameError) Error() string {
	name := e.Name
	if len(name) > 40 {
		name = name[:40] + "..."
	}
	return fmt.Sprintf("%q cannot be a function's name: %s", name, e.Reason)
}

// CheckFunctionName returns a [*FunctionNameError] for a name that job servers would refuse or that would break their protocol:
// an empty one, one of more than 512 bytes (gearmand's limit), or one with a space or a control character.
func CheckFunctionName(name string) error {
	var reason string
	switch {
	case name == "":
		reason = "it is empty, want a name"
	case len(name) > maxFunctionName:
		reason = fmt.Sprintf("it has %d bytes, want at most %d", len(name), maxFunctionName)
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		reason = "it holds a space or a control character, want visible characters only"
	default:
		return nil
	}
	return &FunctionNameError{Name: name, Reason: reason}
}
