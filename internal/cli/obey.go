package cli

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/manager"
)

// obedience is what signals do to a fleet. None of it blocks.
type obedience struct {
	stop   func(os.Signal)     // the first SIGTERM or SIGINT
	hurry  func()              // each further one
	reopen func(signal string) // SIGUSR1 and SIGHUP
	reload func()              // SIGHUP
}

// obey acts on signals until over.
func obey(signals <-chan os.Signal, over <-chan struct{}, log zerolog.Logger, do obedience) {
	stopping := false
	for {
		select {
		case <-over:
			return
		case s := <-signals:
			switch {
			case s == syscall.SIGUSR1:
				do.reopen("SIGUSR1")
			case s == syscall.SIGHUP:
				do.reopen("SIGHUP")
				if stopping {
					log.Warn().Str(logging.FieldSignal, "SIGHUP").Str(logging.FieldDetail, "the fleet stops, so nothing is reloaded").Msg("signal ignored")
					continue
				}
				do.reload()
			case !stopping:
				stopping = true
				do.stop(s)
			default:
				do.hurry()
			}
		}
	}
}

// offer puts an element into a channel that holds one, unless it has it.
func offer(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// reloader is what SIGHUP is done with.
type reloader interface {
	Reload(context.Context, manager.ReloadRequest) (manager.ReloadReport, error)
}

// reloadAsked reloads everything each time that it is asked to, from the start of the
// fleet to the end of ctx. What is asked while it does so is done once more. The
// manager's events tell what a reload changes.
func reloadAsked(ctx context.Context, started, asked <-chan struct{}, fleet reloader, log zerolog.Logger) {
	select {
	case <-started:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
		}
		said := loud(log)
		said.Info().Str(logging.FieldSignal, "SIGHUP").Str(logging.FieldDetail, "config and code are read again, all workers are replaced").Msg("reload asked for")
		_, err := fleet.Reload(ctx, manager.ReloadRequest{Config: true, Code: true, Roll: true})
		if err != nil && ctx.Err() == nil && !errors.Is(err, manager.ErrNotRunning) {
			log.Error().Err(err).Msg("reload not done")
		}
	}
}
