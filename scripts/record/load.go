package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
)

// load is jobs that are submitted one after another, by several clients.
type load struct {
	client  *gearclient.Client
	cancel  context.CancelFunc
	clients sync.WaitGroup
}

// startLoad begins to submit jobs. They go on until it is stopped, also when ctx ends.
func startLoad(ctx context.Context, port int) (*load, error) {
	client, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{fmt.Sprintf("127.0.0.1:%d", port)}})
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	l := &load{client: client}
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for i := range 5 { // jobs of 0.6 s to 1 s, more than there are workers
		l.submit(ctx, "countdown", fmt.Sprint(6+i), 0)
	}
	l.submit(ctx, "reverse", "Hello World!", 20*time.Millisecond)
	l.submit(ctx, "slug", "Hello World!", 30*time.Millisecond)
	l.submit(ctx, "wordcount", "one two three", 150*time.Millisecond)
	return l, nil
}

// submit is one client, with a rest between two jobs.
func (l *load) submit(ctx context.Context, function, workload string, rest time.Duration) {
	l.clients.Go(func() {
		for ctx.Err() == nil {
			// What becomes of a job is shown by the commands.
			_, _ = l.client.Do(ctx, gearclient.Request{Function: function, Workload: []byte(workload)})
			_ = pause(ctx, max(rest, time.Millisecond)) // the end is seen above
		}
	})
}

// stop ends it.
func (l *load) stop() error {
	l.cancel()
	l.clients.Wait()
	return l.client.Close()
}
