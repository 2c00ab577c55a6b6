package gearclient_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// TestCloseUnderLoad closes clients while goroutines submit, wait, ask and give
// up. Nobody may hang, and every error has to be one that is documented.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.EveryConn(geartest.Expect(wire.OptionReq, "exceptions"), geartest.Loop(
		geartest.Expect(wire.SubmitJob, "f", "", ""),
		geartest.Send(wire.JobCreated, "H:t:1"), geartest.Send(wire.WorkComplete, "H:t:1", ""),
	)))
	for range 20 {
		c := newClient(t, s)
		var wg sync.WaitGroup
		begun := make(chan struct{}, 8)
		for range 8 {
			wg.Go(func() { submitUntilClosed(t, c, begun) })
		}
		for range 8 {
			<-begun
		}
		for range 3 {
			wg.Go(func() { _ = c.Close() })
		}
		wg.Wait()
	}
}

func submitUntilClosed(t *testing.T, c *gearclient.Client, begun chan<- struct{}) {
	t.Helper()
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		if i%3 == 2 {
			cancel() // gives up
		}
		_, err := c.Do(ctx, gearclient.Request{Function: "f"})
		cancel()
		if i == 3 {
			begun <- struct{}{}
		}
		switch {
		case errors.Is(err, gearclient.ErrClosed):
			if i < 3 {
				t.Error("closed before it was")
			}
			return
		case err != nil && !errors.Is(err, context.Canceled):
			t.Errorf("%v", err)
			return
		}
	}
}
