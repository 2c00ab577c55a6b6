package wire

import "fmt"

// ArgumentError says which argument of a packet does not fit the protocol.
type ArgumentError struct {
	Type    Type
	Name    string // name of the argument; empty if their number is wrong
	Problem string
}

// Error names the packet, the argument and the problem.
func (e *ArgumentError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("%v: %s", e.Type, e.Problem)
	}
	return fmt.Sprintf("%v: %s: %s", e.Type, e.Name, e.Problem)
}

// FormatError says that a peer sent what is no packet: bad magic, an unknown
// type or a body that does not fit its type. The position in the stream is
// lost; close the connection.
type FormatError struct {
	Problem string
}

// Error says what was wrong.
func (e *FormatError) Error() string { return "malformed packet: " + e.Problem }

// TooLargeError says that a packet's last argument was over the Reader's cap.
// Its body has been read and thrown away and the stream stands after it, so
// the connection can be used on.
type TooLargeError struct {
	Type  Type
	Size  int64 // bytes of the last argument
	Limit int64 // bytes that the Reader accepts
}

// Error names the packet and both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%v: %d bytes of data, over the limit of %d", e.Type, e.Size, e.Limit)
}
