package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/manager"
)

// endOfOne bounds the end of a fleet of one worker, which has no job by then.
const endOfOne = 10 * time.Second

// runPHP performs one job of a PHP worker, which takes jobs from job servers only:
// from the embedded one, in a fleet of one worker.
func runPHP(ctx context.Context, std *streams, cfg *config.Config, prog manager.Program, function string) (err error) {
	ctx, stop := untilSignal(ctx, std.signals, false)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server, err := jobserver.New(jobserver.Config{})
	if err != nil {
		return err
	}
	if err := server.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ended(ctx, server.Stop)) }()
	fleet, err := manager.New(manager.Config{ //nolint:contextcheck // it waits for nothing
		Settings: cfg, Servers: []string{server.Addr()}, Plan: oneJob(cfg, prog, function),
		Logger: zerolog.Nop(), OnEvent: tellAuthor(std, cancel),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endFleet(ctx, fleet)) }()
	if err := inspectOne(ctx, fleet, cfg, prog, function); err != nil {
		return err
	}
	if err := fleet.Start(ctx); err != nil {
		return err
	}
	client, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{server.Addr()}, MaxData: cfg.MaxJobSize()})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	one := &submit{hasData: func() bool { return false }, maxData: cfg.MaxJobSize()}
	workload, err := one.workload(std)
	if err != nil {
		return err
	}
	err = jobError(std, one.perform(ctx, std, client, gearclient.Request{Function: function, Workload: workload}))
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// ended calls a Stop within a bound of its own.
func ended(ctx context.Context, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endOfOne)
	defer cancel()
	return stop(ctx)
}

// endFleet ends a fleet that has done its job, or, when ctx has ended, at once.
func endFleet(ctx context.Context, fleet *manager.Manager) error {
	if ctx.Err() != nil {
		return fleet.Stop(ctx)
	}
	return ended(ctx, fleet.Stop)
}

// oneJob plans one worker for one job.
func oneJob(cfg *config.Config, prog manager.Program, function string) *manager.Plan {
	prog.Functions = []string{function}
	plan, _ := manager.NewPlan(cfg, []manager.Program{prog})
	plan.Pools = slices.DeleteFunc(plan.Pools, func(pool manager.PoolPlan) bool { return len(pool.Functions) == 0 })
	plan.Pools = plan.Pools[:min(1, len(plan.Pools))]
	for i := range plan.Pools {
		pool := &plan.Pools[i]
		pool.Slots, pool.Workers = 1, 1
		f := &pool.Functions[0]
		f.OnTimeout, f.OnCrash, f.JobAttempts = config.Fail, config.Fail, 1
	}
	return plan
}

// inspectOne says what is wrong with the worker file.
func inspectOne(ctx context.Context, fleet *manager.Manager, cfg *config.Config, prog manager.Program, function string) error {
	faults, err := fleet.Inspector().Inspect(ctx, []manager.PHPFile{{
		Function: function, Path: prog.Path, Symbol: cfg.Prefix() + function, Pear: prog.Pear,
	}})
	if err != nil {
		return err
	}
	for _, fault := range faults {
		return errors.New(fault.String())
	}
	return nil
}

// errorLevel is where the levels of worker logs begin to be errors, as in log/slog.
const errorLevel = 8

// tellAuthor writes what a worker prints and logs, and ends the run when none can
// be started. An error in a job is written as its answer.
func tellAuthor(std *streams, cancel context.CancelCauseFunc) func(manager.Event) {
	return func(e manager.Event) {
		switch e := e.(type) {
		case manager.WorkerPrinted:
			_, _ = fmt.Fprintln(std.err, e.Line)
		case manager.WorkerLogged:
			if e.Log.GetLevel() < errorLevel {
				_, _ = fmt.Fprintln(std.err, e.Log.GetMessage())
			}
		case manager.PHPPrinted:
			_, _ = fmt.Fprintln(std.err, e.Line)
		case manager.StartFailed:
			cancel(e.Err)
		}
	}
}
