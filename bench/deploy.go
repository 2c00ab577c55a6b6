package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"
)

const (
	// busyJob is how long a job of a busy worker takes.
	busyJob = 200 * time.Millisecond
	// betweenCalls is the rest between two rounds of jobs for idle workers, as many
	// as there are workers, for each of them.
	betweenCalls = time.Millisecond / 2
	// beforeDeploy is for how long there are jobs before code is changed.
	beforeDeploy = 300 * time.Millisecond
	// countInterval is how often the job server is asked for the number of workers
	// while they are replaced.
	countInterval = 2 * time.Millisecond
	// deployLimit is the longest that all workers may take to be replaced.
	deployLimit = 30 * time.Second
)

// editions are the contents that a program is deployed with, one after the other:
// that with which a fleet starts, one that is noticed, and one that is told.
func editions() []string { return []string{"first", "second", "third"} }

// deployment is a new edition put in the place of another.
type deployment struct {
	edition, before string
	busy            bool // workers have jobs of busyJob in hand, and more wait
	told            bool // by reload; otherwise the file alone has to do
}

// rollout is what was seen of a deployment, from the moment the file was in place.
type rollout struct {
	first time.Duration // until the first answer of the new code
	last  time.Duration // until no old worker was left and all new ones were registered
	least int           // registered meanwhile
}

// Figures of a deployment.
const (
	firstAnswer  = "first answer of the new code, ms"
	lastReplaced = "last worker replaced, ms"
	leastPresent = "fewest workers registered"
)

// prefix tells what the figures of a deployment begin with.
func (d deployment) prefix() string {
	if d.told {
		return "new file and reload to "
	}
	return "new file to "
}

// quantity names a figure of a deployment.
func (d deployment) quantity(figure string) quantity {
	return quantity(workersAre(d.busy) + ": " + d.prefix() + figure)
}

// deploy puts a new edition in place, while there are jobs, has act done, and
// returns when all workers are replaced.
func (f *fleet) deploy(ctx context.Context, w *workshop, d deployment, act func(context.Context) error) (rollout, error) {
	if err := f.find(); err != nil {
		return rollout{}, err
	}
	staged, target, err := w.stage(f.contender, d.edition)
	if err != nil {
		return rollout{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, deployLimit)
	defer cancel()
	calls, err := f.call(ctx, d)
	if err != nil {
		return rollout{}, err
	}
	if err := rest(ctx, beforeDeploy); err != nil {
		return rollout{}, errors.Join(err, calls.stop())
	}
	count := f.count(ctx)
	began := time.Now()
	err = os.Rename(staged, target)
	if err == nil {
		err = act(ctx)
	}
	if err == nil {
		err = calls.await(ctx)
	}
	if err == nil {
		err = f.replaced(ctx)
	}
	last := time.Since(began)
	least, errCount := count.stop()
	if err := errors.Join(err, errCount, calls.stop()); err != nil {
		return rollout{}, fmt.Errorf("deploy the %s edition: %w%s", d.edition, err, f.children[0].tail())
	}
	return rollout{first: calls.at.Sub(began), last: last, least: least}, nil
}

// replaced returns when the workers that were found last are gone, and as many as
// planned are registered.
func (f *fleet) replaced(ctx context.Context) error {
	old := f.workers
	q, err := f.server.query(ctx)
	if err != nil {
		return err
	}
	defer q.close()
	registered := 0
	err = poll(ctx, interval, deployLimit, func() (bool, error) {
		for len(old) > 0 {
			if now, err := readStat(old[0].pid); err == nil && now.started == old[0].started {
				return false, f.broken()
			}
			old = old[1:]
		}
		var err error
		registered, err = q.workers(f.contender.job.function)
		return registered == f.plan.workers, errors.Join(err, f.broken())
	})
	if err != nil {
		return fmt.Errorf("%d old workers left, %d of %d registered: %w", len(old), registered, f.plan.workers, err)
	}
	return nil
}

// calls are jobs that are submitted while an edition is deployed.
type calls struct {
	cancel context.CancelFunc
	ended  chan error
	once   sync.Once
	seen   chan struct{} // closed at the first answer of the new edition
	at     time.Time     // of that; valid once seen is closed
}

// call begins to submit jobs: as many as keep all workers busy, or a round of jobs that
// are done in an instant, now and then.
func (f *fleet) call(ctx context.Context, d deployment) (*calls, error) {
	conn, err := f.server.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &calls{ended: make(chan error, 1), seen: make(chan struct{})}
	length := time.Duration(0)
	if d.busy {
		length = busyJob
	}
	l := newLoad(conn, editionJobIn(length, func(edition string) bool { return c.answered(d, edition) }))
	ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		defer func() { _ = conn.Close() }() // all answers have been read, or there is an error anyway
		if d.busy {
			c.ended <- l.run(ctx, 2*f.plan.workers)
			return
		}
		c.ended <- l.trickle(ctx, f.plan.workers)
	}()
	return c, nil
}

// answered notes the first answer of the new edition, and tells whether the answer
// is one of either.
func (c *calls) answered(d deployment, edition string) bool {
	if edition == d.edition {
		c.once.Do(func() {
			c.at = time.Now()
			close(c.seen)
		})
	}
	return edition == d.edition || edition == d.before
}

// await returns at the first answer of the new edition.
func (c *calls) await(ctx context.Context) error {
	select {
	case <-c.seen:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the new code: %w", ctx.Err())
	case err := <-c.ended:
		c.ended <- nil // for stop
		return errors.Join(err, errors.New("the jobs ended early"))
	}
}

// stop waits for the jobs that were submitted.
func (c *calls) stop() error {
	c.cancel()
	return <-c.ended
}

// trickle submits as many jobs as there are workers, and again a moment after their
// answers, until ctx ends. A single job could go to the same worker each time.
func (l *load) trickle(ctx context.Context, workers int) error {
	for ctx.Err() == nil {
		if err := l.round(workers); err != nil {
			return err
		}
		_ = rest(ctx, time.Duration(workers)*betweenCalls) // the end is seen above
	}
	return nil
}

// counter looks how many workers are registered, until it is stopped.
type counter struct {
	cancel context.CancelFunc
	ended  chan error
	least  int // valid when ended has been received
}

// count begins to ask the job server for the number of workers.
func (f *fleet) count(ctx context.Context) *counter {
	c := &counter{ended: make(chan error, 1), least: math.MaxInt}
	ctx, c.cancel = context.WithCancel(ctx)
	go func() { c.ended <- c.run(ctx, f) }()
	return c
}

func (c *counter) run(ctx context.Context, f *fleet) error {
	q, err := f.server.query(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer q.close()
	for ctx.Err() == nil {
		n, err := q.workers(f.contender.job.function)
		if err != nil {
			return err
		}
		c.least = min(c.least, n)
		_ = rest(ctx, countInterval) // the end is seen above
	}
	return nil
}

// stop returns the smallest number seen.
func (c *counter) stop() (int, error) {
	c.cancel()
	err := <-c.ended
	return c.least, err
}
