package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// What is measured: the numbers of workers under load and at rest, and of jobs
// in flight.
const (
	fewWorkers, someWorkers, manyWorkers = 1, 4, 20
	oneInFlight, fullInFlight            = 1, 50
)

// settings is what the command line chooses.
type settings struct {
	rows   []contender
	runs   int
	length time.Duration // of one measurement
	// operationRuns is the number of runs for the tables of operation and reload.
	operationRuns int
}

// operationLength is how long one measurement for the operation table lasts,
// which has more of them than the others.
func (s settings) operationLength() time.Duration { return s.length / 2 }

// warmUp is how long load runs before it is measured.
func (s settings) warmUp() time.Duration { return max(s.length/5, 200*time.Millisecond) }

// settle is the rest before memory is measured.
const settle = time.Second

// bench is one comparison.
type bench struct {
	settings
	workshop *workshop
	server   *jobServer
	results  results
	progress io.Writer
	busy     string // load average of the last minute before the first run
}

// run measures all contenders, run by run. The figures taken so far are valid
// when it fails.
func (b *bench) run(ctx context.Context) error {
	for i := range max(b.runs, b.operationRuns) {
		if i < b.runs {
			if err := b.compare(ctx, i); err != nil {
				return err
			}
		}
		if i < b.operationRuns {
			err := b.operate(ctx, i, operationTable, steps())
			if err == nil {
				err = b.operate(ctx, i, reloadTable, reloadSteps())
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// compare is one run for the tables of speed and of a crowd.
func (b *bench) compare(ctx context.Context, i int) error {
	for _, workers := range []int{fewWorkers, someWorkers, manyWorkers, crowdWorkers} {
		for j := range b.rows {
			c := b.rows[(i+j)%len(b.rows)]
			if c.table > crowdTable || (c.table == crowdTable) != (workers == crowdWorkers) {
				continue
			}
			if err := b.visit(ctx, c, workers); err != nil {
				return fmt.Errorf("%s with %d workers, run %d: %w", c.name, workers, i+1, err)
			}
			if err := b.say("run %d/%d  %-32s %s", i+1, b.runs, c.name, plural(workers, "worker")); err != nil {
				return err
			}
		}
	}
	return nil
}

// visit starts one contender, measures what belongs to that number of workers,
// and stops it.
func (b *bench) visit(ctx context.Context, c contender, workers int) error {
	f, err := startFleet(ctx, c, b.workshop, b.server, plan{workers: workers})
	if err != nil {
		return err
	}
	if c.table == crowdTable {
		return errors.Join(b.crowd(ctx, f), f.stop(ctx))
	}
	if workers == manyWorkers {
		// Under load only for a moment: memory counts after work, not before it.
		_, err = measure(ctx, f, fullInFlight, b.warmUp(), b.warmUp())
	} else {
		err = errors.Join(b.load(ctx, f, workers, oneInFlight), b.load(ctx, f, workers, fullInFlight))
	}
	if err == nil && workers != someWorkers {
		err = b.weigh(ctx, f, workers)
	}
	return errors.Join(err, f.stop(ctx))
}

// load measures and notes what a fleet does under load.
func (b *bench) load(ctx context.Context, f *fleet, workers, inFlight int) error {
	m, err := measure(ctx, f, inFlight, b.warmUp(), b.length)
	if err != nil {
		return fmt.Errorf("%d in flight: %w", inFlight, err)
	}
	note := func(q quantity, figure float64) {
		b.results.add(key{f.contender.id, q, workers, inFlight}, figure)
	}
	note(jobsPerSecond, m.rate)
	note(cpuPerJob, microseconds(m.cpu))
	note(loadPercent, m.self)
	note(loadPerJob, microseconds(m.selfCost))
	if f.contender.managed {
		note(managerPercent, m.manager)
	}
	return nil
}

// weigh measures and notes the memory of a fleet at rest.
func (b *bench) weigh(ctx context.Context, f *fleet, workers int) error {
	if err := rest(ctx, settle); err != nil {
		return err
	}
	bytes, err := f.memory()
	if err != nil {
		return err
	}
	b.results.add(key{f.contender.id, memory, workers, 0}, float64(bytes)/(1<<20))
	return nil
}

func (b *bench) say(format string, args ...any) error {
	_, err := fmt.Fprintf(b.progress, format+"\n", args...)
	return err
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
