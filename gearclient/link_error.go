package gearclient

import "fmt"

// SilenceError says that a job server owed an answer and did not give it in
// time. The connection was closed.
type SilenceError struct {
	Server string // host:port
	Err    error  // of the connection
}

// Error names the server.
func (e *SilenceError) Error() string {
	return fmt.Sprintf("no answer from job server %s in time", e.Server)
}

// Unwrap gives the error of the connection.
func (e *SilenceError) Unwrap() error { return e.Err }
