package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	// crowdWorkers is the number of workers of a crowd.
	crowdWorkers = 50
	// crowdKills is how many of them are killed, one after the other, in a run.
	crowdKills = 10
)

const (
	// successorLimit is the longest that a successor may take.
	successorLimit = 10 * time.Second
	// betweenKills lets a manager come to rest before the next worker is killed.
	betweenKills = 200 * time.Millisecond
	// sharp is how often the job server is asked for a successor. A worker that
	// goes has to be missed by it in between: no process starts so fast.
	sharp = 200 * time.Microsecond
)

// crowd measures a fleet of many workers: how long it took to come, its memory
// after work and rest, and how soon a killed worker has a successor.
func (b *bench) crowd(ctx context.Context, f *fleet) error {
	note := func(q quantity, figure float64) {
		b.results.add(key{f.contender.id, q, crowdWorkers, 0}, figure)
	}
	note(registeredAfter, milliseconds(f.took))
	if _, err := measure(ctx, f, fullInFlight, b.warmUp(), b.warmUp()); err != nil {
		return err
	}
	if err := b.weigh(ctx, f, crowdWorkers); err != nil {
		return err
	}
	own, err := pss(f.children[0].pid())
	if err != nil {
		return err
	}
	note(managerMemory, float64(own)/(1<<20))
	for _, p := range f.workers[:crowdKills] {
		took, err := f.replace(ctx, p)
		if err != nil {
			return fmt.Errorf("kill worker %d: %w", p.pid, err)
		}
		note(successorAfter, milliseconds(took))
		if err := rest(ctx, betweenKills); err != nil {
			return err
		}
	}
	return nil
}

// Why a successor was not seen.
var (
	errNotMissed   = errors.New("the job server never had a worker less")
	errNoSuccessor = errors.New("no successor")
)

// replace kills a worker and returns how long it took until the job server had
// as many workers as before.
func (f *fleet) replace(ctx context.Context, victim stat) (time.Duration, error) {
	q, err := f.server.query(ctx)
	if err != nil {
		return 0, err
	}
	defer q.close()
	before, err := q.workers(f.contender.job.function)
	if err != nil {
		return 0, err
	}
	if now, err := readStat(victim.pid); err != nil || now.started != victim.started {
		return 0, fmt.Errorf("find it: %w", errors.Join(err, errEnded))
	}
	began := time.Now()
	if err := syscall.Kill(victim.pid, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("send signal: %w", err)
	}
	missed := false
	err = poll(ctx, sharp, successorLimit, func() (bool, error) {
		n, err := q.workers(f.contender.job.function)
		missed = missed || n < before
		return missed && n == before, errors.Join(err, f.broken())
	})
	took := time.Since(began)
	switch {
	case err == nil:
		return took, nil
	case !errors.Is(err, context.DeadlineExceeded):
		return 0, err
	case missed:
		return 0, fmt.Errorf("%w within %v%s", errNoSuccessor, successorLimit, f.children[0].tail())
	default:
		return 0, fmt.Errorf("%w within %v%s", errNotMissed, successorLimit, f.children[0].tail())
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
