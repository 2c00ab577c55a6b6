// Package wire is the codec of Gearman's binary protocol: bytes to packets and
// back, without sockets, goroutines or clocks.
//
// A packet is a header of [HeaderSize] bytes (magic, type, size of the body)
// and a body of arguments separated by NUL. The last argument is not
// terminated and may hold any bytes, so a workload needs no escaping; how many
// arguments there are follows from the type alone ([Type.Args]).
//
// Writing is appending: [Append] and the functions beside it add one packet to
// a byte slice, so that several packets (WORK_COMPLETE and the next GRAB_JOB)
// leave in one write. Reading is a [Reader] over any io.Reader. After an error
// other than [*TooLargeError] the position in the stream is lost and the
// connection has to be closed; nothing that a peer sends can make this package
// panic.
package wire
