// Package testutil is what tests of several packages need: Debian's job server,
// free ports, waiting, and knowing what runs. It imports nothing of this
// repository, so that every test may import it; package jobtest beside it has
// what stands on our own client and server.
//
// Everything takes the test and fails it instead of returning an error, so it is
// called by the test's own goroutine, and what it starts ends with the test.
package testutil
