// Command gearman-manager runs a fleet of Gearman workers. See its help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/gearman-manager/gearman-manager/internal/cli"
)

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	os.Exit(cli.Main(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr, signals))
}
