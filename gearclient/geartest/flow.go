package geartest

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Wait goes on when the channel is closed or has a value: an answer that comes
// as late as the test wants.
func Wait(ch <-chan struct{}) Step {
	return Step{"wait for the test", func(p *peer) error {
		timer := time.NewTimer(StepTimeout)
		defer timer.Stop()
		select {
		case <-ch:
			return nil
		case <-p.abort:
			return errStopped
		case <-timer.C:
			return fmt.Errorf("no signal for %v", StepTimeout)
		}
	}}
}

// Signal closes the channel, which tells the test that the script has come this
// far. It can happen once only, so it does not fit into [Loop] or [EveryConn].
func Signal(ch chan<- struct{}) Step {
	return Do(func() { close(ch) })
}

// Do calls f on the connection's goroutine.
func Do(f func()) Step {
	return Step{"call a function", func(*peer) error {
		f()
		return nil
	}}
}

// NeverAnswer reads and drops whatever comes until the other side closes the
// connection or the test ends. It is a server that hangs.
func NeverAnswer() Step {
	return Step{"never answer", func(p *peer) error {
		for {
			err := p.awaitByte(p.stop)
			switch {
			case errors.Is(err, errEnded), errors.Is(err, os.ErrDeadlineExceeded):
				return nil
			case err != nil:
				return err
			}
			p.skip(p.br.Buffered())
		}
	}}
}

// Loop repeats steps, of which the first has to expect something, until the
// other side closes the connection before that step or the test ends.
func Loop(steps ...Step) Step {
	return Step{"loop", func(p *peer) error {
		for {
			err := p.awaitByte(p.stop)
			switch {
			case errors.Is(err, errEnded), errors.Is(err, os.ErrDeadlineExceeded):
				return nil
			case err != nil:
				return err
			}
			for i, s := range steps {
				if err := s.run(p); err != nil {
					return fmt.Errorf("step %d of the loop (%s): %w", i+1, s.name, err)
				}
			}
		}
	}}
}
