// Package conformance holds one suite of scripted cases that runs against the
// embedded job server and against Debian's gearmand 1.1.20, and wants the same
// answers from both, packet by packet and line by line.
//
// It stands outside internal/jobserver because it must not know it: both servers
// are spoken to over their sockets only.
//
// The cases are in testdata, a file for each subject. A case begins with a line
// "== NAME". Each action is followed by everything that the server then sends
// to anybody; nothing is left out, so an answer too many is an error too:
//
//	w > CAN_DO f                 actor w sends a packet (and connects, if new)
//	c > SUBMIT_JOB f "" data
//	c < JOB_CREATED H:1          what c receives
//	a $ status                   a line of the operator's protocol, with CRLF
//	a | f\t1\t0\t1               a line of the reply
//	a | .
//
// The other actions are ">RES" (a packet with the magic of responses), ">>"
// (bytes as they are), ">>-" (bytes of a
// request that is not complete yet), "$lf" (a line with a bare LF), "close", "wait" (until
// something comes) and "idle DURATION" (let time pass). With "-closed" behind it,
// an action is one that the server answers by closing the connection, with
// "-silent" one that it does not answer, waiting for more. x*64 stands for 64 times
// x and @+2 for the time in two seconds. Replies of several lines are compared
// sorted, since their order is that of a hash table.
//
// Where gearmand is wrong the case has lines for one server only, marked
// [gearmand] or [embedded], and a line "deviation: REASON". A case whose
// deviation is no longer seen fails. "go test -update" writes down what both
// servers answer; the result has to be read.
package conformance
