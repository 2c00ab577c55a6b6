package gearclient

import "fmt"

// AddressError says that a text cannot be the address of a job server.
type AddressError struct {
	Addr    string
	Problem string
}

// Error names the address and what is wrong with it.
func (e *AddressError) Error() string {
	return fmt.Sprintf("job server address %q: %s", e.Addr, e.Problem)
}

// ConnectError says that a job server could not be reached. Nothing was sent
// to it.
type ConnectError struct {
	Addr string
	Err  error
}

// Error names the server and the reason.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("connect to job server %s: %v", e.Addr, e.Err)
}

// Unwrap gives the reason.
func (e *ConnectError) Unwrap() error { return e.Err }

// SafeToRetry is true: nothing was sent.
func (e *ConnectError) SafeToRetry() bool { return true }
