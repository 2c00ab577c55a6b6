package php_test

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// load sends n jobs of reverse to a server from several clients at a time, and checks
// the answers.
func load(ctx context.Context, t *testing.T, addr string, n int) *errgroup.Group {
	t.Helper()
	c := jobtest.NewClient(t, addr)
	g, ctx := errgroup.WithContext(ctx)
	const clients = 5
	for i := range clients {
		g.Go(func() error {
			for j := range n / clients {
				in := fmt.Sprintf("%d:%d<", i, j)
				out, err := c.Do(ctx, gearclient.Request{Function: "reverse", Workload: []byte(in)})
				if err != nil {
					return fmt.Errorf("job %s: %w", in, err)
				}
				if len(out) != len(in) || out[0] != '<' {
					return fmt.Errorf("job %s: %q", in, out)
				}
			}
			return nil
		})
	}
	return g
}

// TestBridgeLosesNoJob has workers come and go under load, by drain and by their runs. A
// job that is given to one that has closed its connection fails at once, as the server
// tries each job once.
func TestBridgeLosesNoJob(t *testing.T) {
	t.Parallel()
	g := testutil.StartGearmand(t, "--job-retries", "1", "--worker-wakeup", "1")
	_, record, records := recordFile(t)
	const all = 600
	jobs := load(t.Context(), t, g.Addr(), all)
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = jobs.Wait()
	}()
	over := func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	for i := 0; !over(); i++ {
		enough := record.Snapshot().Done + 20 // before it starts: one of 30 runs may be through with most when its hello is read
		b := startBridge(t, at(g.Addr()), records, limited(&workerpb.Limits{MaxRuns: uint64(30 * (i % 2))}))
		testutil.WaitFor(t, "jobs", func() bool { return over() || record.Snapshot().Done >= enough })
		b.drain(t)
		if n := await[*workerpb.Event_Left](t, b).Left.GetCounters(); n.GetFailed() > 0 {
			t.Errorf("%d failed", n.GetFailed())
		}
		_ = b.conn.CloseWrite()
	}
	if got := record.Snapshot(); err != nil || got.Done != all || got.Begun != all {
		t.Errorf("%v; %+v", err, got)
	}
}

// TestBridgeServesTwoServers has load on both, and counts what was done for them.
func TestBridgeServesTwoServers(t *testing.T) {
	t.Parallel()
	first, second := testutil.StartGearmand(t), testutil.StartGearmand(t)
	_, record, records := recordFile(t)
	b := startBridge(t, at(first.Addr(), second.Addr()), records)
	one, two := load(t.Context(), t, first.Addr(), 500), load(t.Context(), t, second.Addr(), 500)
	if err := one.Wait(); err != nil {
		t.Error(err)
	}
	if err := two.Wait(); err != nil {
		t.Error(err)
	}
	b.drain(t)
	b.leaves(t, 1000, 0)
	if got := record.Snapshot(); got.Done != 1000 || got.Begun != 1000 || got.Failed != 0 || got.Busy {
		t.Errorf("%+v", got)
	}
}
