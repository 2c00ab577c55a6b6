// Package gearclient speaks to Gearman job servers: as a client that submits
// jobs ([Client]), as a worker that performs them ([Worker]), and as an operator
// who asks and changes a server's queues ([Admin]). It stands on its own and needs
// nothing of the rest of this module.
//
// # Rules that hold for every connection
//
// One goroutine reads a connection and owns its framing. A reply is matched to
// the oldest request that waits for one; updates of jobs, errors and wake-ups
// may come in between. After a short read, a timeout, a wrong magic or an
// unknown packet the connection is closed and never used again, and everything
// that waited on it gets an error that says so: a request is never left to meet
// the answer of another. Nothing that a server sends makes this package panic.
//
// Connections use TCP keepalive and TCP_USER_TIMEOUT, so that a peer that
// vanished without a word is noticed ([DialTCP]). A size cap bounds what one
// packet may take in memory.
//
// # Errors
//
// Every error has a type that carries its data, and [SafeToRetry] tells from
// what an error means, not from its type, whether sending the same job again
// can make it run twice.
//
// The package does not log.
package gearclient
