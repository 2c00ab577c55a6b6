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
	// missedLimit is how long the job server may take to miss a killed worker.
	missedLimit = 2 * time.Second
	// betweenKills lets a manager come to rest before the next worker is killed.
	betweenKills = 200 * time.Millisecond
	// sharp is how often the job server is asked for a successor.
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
	return f.killSome(ctx, func(_ stat, took time.Duration) error {
		note(successorAfter, milliseconds(took))
		return nil
	})
}

// killSome kills workers, one after the other, until it has noted crowdKills times
// that a successor took. One whose successor was there before anybody looked, as
// this program did not run in between, is passed over.
func (f *fleet) killSome(ctx context.Context, note func(victim stat, took time.Duration) error) error {
	noted := 0
	var last error
	for _, p := range f.workers {
		if noted == crowdKills {
			return nil
		}
		took, err := f.replace(ctx, p)
		switch {
		case err == nil:
			if err := note(p, took); err != nil {
				return err
			}
			noted++
		case errors.Is(err, errNotMissed):
			last = err
		default:
			return fmt.Errorf("kill worker %d: %w", p.pid, err)
		}
		if err := rest(ctx, betweenKills); err != nil {
			return err
		}
	}
	if noted < crowdKills {
		return fmt.Errorf("kill workers: %d of %d successors seen: %w", noted, crowdKills, last)
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
		if !missed && time.Since(began) > missedLimit {
			err = errors.Join(err, errNotMissed)
		}
		return missed && n == before, errors.Join(err, f.broken())
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, fmt.Errorf("%w within %v%s", errNoSuccessor, successorLimit, f.children[0].tail())
	}
	return time.Since(began), err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
