package gearclient

import "fmt"

// ReplyError says that the reply to an administrative command makes no sense.
type ReplyError struct {
	Server  string
	Line    string // the line that makes none
	Problem string
}

// Error names the server and the problem, and shows the line, cut after 128
// bytes.
func (e *ReplyError) Error() string {
	line, cut := e.Line, ""
	if len(line) > 128 {
		line, cut = line[:128], "…"
	}
	return fmt.Sprintf("job server %s sent %q%s: %s", e.Server, line, cut, e.Problem)
}

// FunctionError says why an administrative command was not sent for a function,
// because it would do harm or could not be said.
type FunctionError struct {
	Function string
	Problem  string
}

// Error names the function and the problem.
func (e *FunctionError) Error() string {
	return fmt.Sprintf("function %q: %s", e.Function, e.Problem)
}
