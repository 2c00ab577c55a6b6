// Command testcount reads the JSON of go test from its standard input, prints
// a line for each package and the output of what failed, and ends with
//
//	N passed, N failed, N skipped
//
// It counts tests and subtests. Its exit status is 1 when a test or a package
// failed, when no test ran at all, or when a test was skipped although the
// environment variable CI is set: a test server that lacks what tests need has
// to say so instead of passing.
package main

import (
	"fmt"
	"os"
)

func main() {
	ok, err := run(os.Stdin, os.Stdout, os.Getenv("CI") != "")
	if err != nil {
		fmt.Fprintln(os.Stderr, "testcount:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}
