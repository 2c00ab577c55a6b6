package gearclient

import "fmt"

// ServerError is a job server's ERROR packet or ERR line: it did not do what
// was asked.
type ServerError struct {
	Server string // host:port; may be empty where the reader knows it
	Code   string // such as "JOB_NOT_FOUND"
	Text   string
}

// Error names the server if it is known, the code and the text.
func (e *ServerError) Error() string {
	server := "job server"
	if e.Server != "" {
		server += " " + e.Server
	}
	return fmt.Sprintf("%s: %s: %s", server, e.Code, e.Text)
}

// SafeToRetry is true: what was refused was not done.
func (e *ServerError) SafeToRetry() bool { return true }
