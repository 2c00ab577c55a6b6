package control

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	maxTries = 3                    // of a question
	dialWait = 10 * time.Second     // for a place among those who wait for the manager
	dialPoll = 2 * time.Millisecond // as there is nothing that tells of one
)

// dial connects to the socket at path. If too many wait there, it waits for a place among
// them: nothing was said yet.
func dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	late := time.NewTimer(dialWait)
	defer late.Stop()
	for {
		conn, err := d.DialContext(ctx, "unix", path)
		if !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		select {
		case <-time.After(dialPoll):
		case <-late.C:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}
