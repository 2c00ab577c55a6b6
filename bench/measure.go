package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// reading is the state of all counters at one moment.
type reading struct {
	at      time.Time
	jobs    uint64
	workers time.Duration // CPU
	manager time.Duration
	self    time.Duration
}

// figures is what one measurement gives.
type figures struct {
	rate     float64       // jobs a second
	cpu      time.Duration // of the workers, a job
	manager  float64       // CPU of the manager, percent of a core
	self     float64       // CPU of this program, percent of a core
	selfCost time.Duration // CPU of this program, a job
}

// measure puts load on a fleet, lets it warm up, and counts for a time.
func measure(ctx context.Context, f *fleet, inFlight int, warmUp, length time.Duration) (figures, error) {
	var l loads
	var err error
	for range connections {
		conn, err := f.server.dial(ctx)
		if err != nil {
			return figures{}, err
		}
		defer func() { _ = conn.Close() }() // all answers have been read, or there is an error anyway
		l = append(l, newLoad(conn, f.contender.job))
	}
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- l.run(loaded, inFlight) }()

	var readings [2]reading
	for i, wait := range [2]time.Duration{warmUp, length} {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return figures{}, errors.Join(ctx.Err(), <-ended)
		case err := <-ended:
			timer.Stop()
			return figures{}, errors.Join(err, f.broken())
		}
		if readings[i], err = f.read(l); err != nil {
			stop()
			return figures{}, errors.Join(err, <-ended)
		}
	}
	stop()
	if err := <-ended; err != nil {
		return figures{}, err
	}
	return readings[1].since(readings[0])
}

// read takes all counters.
func (f *fleet) read(l loads) (reading, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return reading{}, fmt.Errorf("read own CPU time: %w", err)
	}
	r := reading{
		at:   time.Now(),
		jobs: l.jobs(),
		self: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
	}
	var errWorkers, errManager error
	r.workers, errWorkers = f.cpu()
	r.manager, errManager = f.managerCPU()
	return r, errors.Join(errWorkers, errManager)
}

// errNoJob is a time in which no job was done.
var errNoJob = errors.New("no job was done in the time that was measured")

// since turns two readings into figures.
func (r reading) since(before reading) (figures, error) {
	jobs := r.jobs - before.jobs
	if jobs == 0 {
		return figures{}, errNoJob
	}
	length := r.at.Sub(before.at)
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / length.Seconds() }
	each := func(d time.Duration) time.Duration { return time.Duration(float64(d) / float64(jobs)) }
	return figures{
		rate:     float64(jobs) / length.Seconds(),
		cpu:      each(r.workers - before.workers),
		manager:  percent(r.manager - before.manager),
		self:     percent(r.self - before.self),
		selfCost: each(r.self - before.self),
	}, nil
}
