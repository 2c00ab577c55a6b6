// Command record makes the recording of the control commands for the documentation,
// from the real thing: it builds, starts a job server, a manager with example workers
// and some load in /tmp/fleet, types the commands in a terminal of 100 columns and 30
// lines, and writes what was to be seen as controls.cast (asciicast v2, for asciinema
// and the players for it) and controls.txt (plain text, for reading).
//
//	go run ./scripts/record [DIRECTORY]
//
// The directory is docs/recordings by default. It is called from the root of the source
// tree, on Linux, and needs php-cli for one of the workers. Times and process ids are
// what they were; names of this machine and its directories are not in the recording,
// which is verified. As root the fleet is run by the user with the id 65534 (nobody), so
// that no other manager of the machine gets in between.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := "docs/recordings"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := record(ctx, dir); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}
