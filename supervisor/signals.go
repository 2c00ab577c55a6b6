package supervisor

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// absorber catches signals that this process ignored, so that its children do not
// ignore them.
type absorber struct {
	ch      chan os.Signal
	signals []os.Signal
}

func absorbIgnored() *absorber {
	a := &absorber{ch: make(chan os.Signal, 1)}
	for _, sig := range []syscall.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGALRM, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
	} {
		if signal.Ignored(sig) {
			a.signals = append(a.signals, sig)
		}
	}
	if len(a.signals) > 0 {
		signal.Notify(a.ch, a.signals...) //nolint:forbidigo // caught in order to be dropped
	}
	return a
}

func (a *absorber) stop() {
	signal.Stop(a.ch)
	if len(a.signals) > 0 {
		signal.Ignore(a.signals...)
	}
}
