package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// fleet is the running workers of one contender.
type fleet struct {
	contender contender
	server    *jobServer
	plan      plan
	commands  [][]string // the programs that were started
	children  []*child
	workers   []stat
	processes []stat
	took      time.Duration // from its start until all workers were registered
	stopped   time.Duration // from the request to stop until its programs had ended; valid after stop
}

// Bounds for a fleet to come and to go. PHP takes the longest of the contenders.
const (
	startLimit = 20 * time.Second
	stopGrace  = 10 * time.Second
)

// interval is how often the job server is asked for a fleet that comes.
const interval = time.Millisecond

// startFleet starts the workers of a contender as planned, for the function of its
// job, and returns when the job server knows all of them.
func startFleet(ctx context.Context, c contender, w *workshop, s *jobServer, p plan) (*fleet, error) {
	p.function = c.job.function
	commands, err := c.commands(w, s, p)
	if err != nil {
		return nil, err
	}
	f := &fleet{contender: c, server: s, plan: p, commands: commands}
	began := time.Now()
	for _, argv := range commands {
		ch, err := startChild(ctx, w.dir, argv...)
		if err != nil {
			return nil, errors.Join(err, f.stop(ctx))
		}
		f.children = append(f.children, ch)
	}
	err = f.await(ctx, p.workers)
	if err == nil {
		f.took = time.Since(began)
		err = f.find()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.name, err), f.stop(ctx))
	}
	return f, nil
}

// await returns when the job server counts exactly this many workers.
func (f *fleet) await(ctx context.Context, workers int) error {
	q, err := f.server.query(ctx)
	if err != nil {
		return err
	}
	defer q.close()
	var registered int
	err = poll(ctx, interval, startLimit, func() (ok bool, err error) {
		if err := f.broken(); err != nil {
			return false, err
		}
		registered, err = q.workers(f.contender.job.function)
		return registered == workers, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%d of %d workers registered after %v%s", registered, workers, startLimit, f.children[0].tail())
	}
	return err
}

// broken is the error of a process that ended, if any did.
func (f *fleet) broken() error {
	for _, c := range f.children {
		if err := c.exited(); err != nil {
			return err
		}
	}
	return nil
}

// find notes the processes of the fleet. The workers of a manager are those
// below it that hold a connection to the job server.
func (f *fleet) find() error {
	f.workers, f.processes = nil, nil
	for _, c := range f.children {
		own, err := readStat(c.pid())
		if err != nil {
			return err
		}
		below, err := descendants(c.pid())
		if err != nil {
			return err
		}
		f.processes = append(append(f.processes, own), below...)
		if !f.contender.managed {
			f.workers = append(f.workers, own)
			continue
		}
		connected, err := connectedTo(f.server.port, below)
		if err != nil {
			return err
		}
		f.workers = append(f.workers, connected...)
	}
	if len(f.workers) == 0 {
		return errors.New("no process of the fleet has a connection to the job server")
	}
	return nil
}

// cpu is the time that the workers have used, and what they started. It is 0 for
// workers that come and go.
func (f *fleet) cpu() (time.Duration, error) {
	if f.plan.maxRuns > 0 {
		return 0, nil
	}
	var sum time.Duration
	for _, p := range f.workers {
		t, err := cpuTime(p.pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// managerCPU is the time that the manager alone has used, 0 without one.
func (f *fleet) managerCPU() (time.Duration, error) {
	if !f.contender.managed {
		return 0, nil
	}
	return ownTime(f.children[0].pid())
}

// memory is the PSS of all processes of the fleet, in bytes.
func (f *fleet) memory() (int64, error) {
	if err := f.find(); err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range f.processes {
		n, err := pss(p.pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// stop ends the fleet and returns when its processes are gone and the job
// server has forgotten them. It works on, within its bounds, when ctx has ended.
func (f *fleet) stop(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	var left []stat
	for _, c := range f.children {
		below, err := descendants(c.pid())
		left, errs = append(left, below...), append(errs, err)
	}
	ended := make(chan error, len(f.children))
	began := time.Now()
	for _, c := range f.children {
		if f.contender.deaf {
			_ = c.cmd.Process.Kill() // it may be gone already
		}
		go func() { ended <- c.stop(stopGrace) }()
	}
	for range f.children {
		errs = append(errs, <-ended)
	}
	f.stopped = time.Since(began)
	errs = append(errs, killLeft(left))
	errs = append(errs, poll(ctx, interval, stopGrace, func() (bool, error) {
		n, err := f.server.workers(ctx, f.contender.job.function)
		return n == 0, err
	}))
	return errors.Join(errs...)
}
