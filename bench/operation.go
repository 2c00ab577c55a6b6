package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// turnoverWorkers is the number of workers that are started, killed and stopped.
	turnoverWorkers = 50
	// idleWorkers and manyIdleWorkers are what a manager has that is looked at
	// while nothing happens.
	idleWorkers, manyIdleWorkers = 20, 200
)

// idleTime is how long the wakeups of an idle manager are counted.
const idleTime = 10 * time.Second

// step is one part of a run for the operation table.
type step struct {
	name    string
	job     job
	plan    plan
	measure func(ctx context.Context, b *bench, f *fleet) error
	// only are the contenders that the step is for; empty: all of its table.
	only []string
	// once tells that the step is part of the first run only.
	once bool
	// commands start the fleet, in place of the contender's; it may be nil.
	commands commander
	// after is called when the fleet has been stopped in order; it may be nil.
	after func(b *bench, f *fleet)
}

// steps are all parts of a run. The limits of jobs a worker come one after the
// other, so that a ratio is one of neighbours.
func steps() []step {
	all := []step{{
		name: "start, kill, stop", job: reverseJob(), plan: plan{workers: turnoverWorkers},
		measure: turnOver, after: noteStop,
	}}
	for _, workers := range []int{someWorkers, fewWorkers} {
		for _, j := range []job{reverseJob(), lingerJob()} {
			for _, maxRuns := range runLimits(workers) {
				all = append(all, step{
					name: jobName(j.function) + ", " + limitName(maxRuns), job: j,
					plan: plan{workers: workers, maxRuns: maxRuns}, measure: recycle,
				})
			}
		}
	}
	for _, workers := range []int{idleWorkers, manyIdleWorkers} {
		all = append(all, step{name: "idle", job: reverseJob(), plan: plan{workers: workers}, measure: idle})
	}
	return all
}

// runLimits are the limits of jobs a worker that are compared, 0 for none.
func runLimits(workers int) []int {
	if workers == fewWorkers {
		return []int{0, 1}
	}
	return []int{0, 1000, 100, 1}
}

// jobName says what the jobs of a function are like.
func jobName(function string) string {
	if function == lingerJob().function {
		return "jobs of 2 ms"
	}
	return "instant jobs"
}

// limitName says how many jobs a worker does.
func limitName(maxRuns int) string {
	switch maxRuns {
	case 0:
		return "never replaced"
	case 1:
		return "1 job each"
	default:
		return number(float64(maxRuns), 0) + " jobs each"
	}
}

// operate is one run for a table of steps. Each contender takes the steps that
// are of the same function and number of workers before it is another's turn.
func (b *bench) operate(ctx context.Context, run int, of table, all []step) error {
	rows := slices.DeleteFunc(slices.Clone(b.rows), func(c contender) bool { return c.table != of })
	for _, group := range groups(all) {
		for j := range rows {
			c := rows[(run+j)%len(rows)]
			for _, s := range group {
				if s.once && run > 0 || len(s.only) > 0 && !slices.Contains(s.only, c.id) {
					continue
				}
				if err := b.take(ctx, c, s); err != nil {
					return fmt.Errorf("%s with %s, %s, run %d: %w", c.name, plural(s.plan.workers, "worker"), s.name, run+1, err)
				}
				if err := b.say("run %d/%d  %-32s %s, %s", run+1, b.operationRuns, c.name, plural(s.plan.workers, "worker"), s.name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// groups parts steps where the function or the number of workers changes.
func groups(all []step) [][]step {
	var parts [][]step
	for i, s := range all {
		if i == 0 || s.job.function != all[i-1].job.function || s.plan.workers != all[i-1].plan.workers {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], s)
	}
	return parts
}

// take starts a contender's fleet for a step, measures, and stops it.
func (b *bench) take(ctx context.Context, c contender, s step) error {
	c.job = s.job
	if s.commands != nil {
		c.commands = s.commands
	}
	if c.file != "" {
		if err := b.workshop.place(c, editions()[0]); err != nil {
			return err
		}
	}
	f, err := startFleet(ctx, c, b.workshop, b.server, s.plan)
	if err != nil {
		return err
	}
	if err := errors.Join(s.measure(ctx, b, f), f.stop(ctx)); err != nil {
		return err
	}
	if s.after != nil {
		s.after(b, f)
	}
	return nil
}

// note notes a figure of a fleet for the operation table.
func (b *bench) note(f *fleet, q quantity, inFlight int, figure float64) {
	b.results.add(key{f.contender.id, q, f.plan.workers, inFlight}, figure)
}

// turnOver notes how long the fleet took to come, and successors of killed workers.
func turnOver(ctx context.Context, b *bench, f *fleet) error {
	b.note(f, registeredAfter, 0, milliseconds(f.took))
	return f.killSome(ctx, func(victim stat, took time.Duration) error {
		b.note(f, successorAfter, 0, milliseconds(took))
		return f.succeeded(victim)
	})
}

// noteStop notes how long the fleet took to go.
func noteStop(b *bench, f *fleet) { b.note(f, stoppedAfter, 0, milliseconds(f.stopped)) }

// errSameWorkers is a fleet that is complete with other processes than expected.
var errSameWorkers = errors.New("no new worker in place of the one killed")

// succeeded looks the workers up again: each one that is gone, the victim and any
// that killSome passed over, has to be replaced by a new process with a connection
// to the job server.
func (f *fleet) succeeded(victim stat) error {
	before := f.workers
	if err := f.find(); err != nil {
		return err
	}
	return compareWorkers(before, f.workers, victim)
}

// compareWorkers verifies that the victim is gone, and that as many processes are
// new as are gone.
func compareWorkers(before, now []stat, victim stat) error {
	in := func(list []stat, p stat) bool {
		return slices.ContainsFunc(list, func(q stat) bool { return q.pid == p.pid && q.started == p.started })
	}
	fresh := slices.DeleteFunc(slices.Clone(now), func(p stat) bool { return in(before, p) })
	if in(now, victim) || len(fresh) == 0 || len(now) != len(before) {
		return fmt.Errorf("%w: %d before, %d now, %d of them new", errSameWorkers, len(before), len(now), len(fresh))
	}
	return nil
}

// recycle notes jobs a second of a fleet whose workers are replaced by number of
// jobs.
func recycle(ctx context.Context, b *bench, f *fleet) error {
	length := b.operationLength()
	m, err := measure(ctx, f, fullInFlight, max(length/5, 200*time.Millisecond), length)
	if err != nil {
		return err
	}
	function := f.contender.job.function
	b.note(f, jobsUnder(function, f.plan.maxRuns), fullInFlight, m.rate)
	if f.plan.maxRuns == 0 && function == reverseJob().function {
		b.note(f, loadPercent, fullInFlight, m.self)
		b.note(f, loadPerJob, fullInFlight, microseconds(m.selfCost))
	}
	return nil
}

// idle notes the wakeups and the memory of the manager process alone while there
// is nothing to do.
func idle(ctx context.Context, b *bench, f *fleet) error {
	manager := f.children[0].pid()
	if err := rest(ctx, settle); err != nil {
		return err
	}
	began := time.Now()
	before, err := wakeups(manager)
	if err != nil {
		return err
	}
	if err := rest(ctx, idleTime); err != nil {
		return err
	}
	after, err := wakeups(manager)
	if err != nil {
		return err
	}
	b.note(f, managerWakeups, 0, float64(after-before)/time.Since(began).Seconds())
	bytes, err := pss(manager)
	b.note(f, managerMemory, 0, float64(bytes)/(1<<20))
	return err
}
