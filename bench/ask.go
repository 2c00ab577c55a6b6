package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// askStatus notes how long a manager takes to answer for a large fleet.
func askStatus(ctx context.Context, b *bench, f *fleet) error {
	if err := rest(ctx, settle); err != nil {
		return err
	}
	for command, q := range map[string]quantity{"status": statusCommand, "workers": workersCommand} {
		took, err := times(commandCalls, func() error {
			cmd := exec.CommandContext(ctx, b.workshop.path("gearman-manager"), command, "-c", f.config())
			if output, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("run gearman-manager %s: %w\n%s", command, err, output)
			}
			return nil
		})
		if err != nil {
			return err
		}
		b.note(f, q, 0, took.median())
	}
	client, err := f.control()
	if err != nil {
		return err
	}
	took, err := times(statusCalls, func() error {
		_, err := client.Status(ctx)
		return err
	})
	if err != nil {
		return err
	}
	b.note(f, statusCall, 0, took.median())
	b.note(f, statusCall99, 0, took.percentile(99))
	return nil
}

// times takes n times how long something takes, in milliseconds.
func times(n int, do func() error) (sample, error) {
	var s sample
	for range n {
		began := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		s = append(s, milliseconds(time.Since(began)))
	}
	return s, nil
}

// programName is that of one of many programs, and of its function. Those that are
// watched differ from those that are not, as both are there at the same time.
func programName(watched bool, i int) string {
	if watched {
		return fmt.Sprintf("watched%03d", i)
	}
	return fmt.Sprintf("left%03d", i)
}

// programsDir is the directory of these programs in the workshop.
func programsDir(watched bool) string { return "re-programs-" + programName(watched, 0) }

// programJob is a job for the first of these programs.
func programJob(watched bool) job {
	j := editionJob()
	j.function = programName(watched, 0)
	return j
}

// watchingCommand starts a manager with one worker for all of these programs.
func watchingCommand(watched bool) commander {
	return func(w *workshop, s *jobServer, p plan) ([][]string, error) {
		home, err := w.home()
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("[GearmanManager]\nhost = %s\nworker_dir = %s\nruntime_dir = %s\nstate_dir = %s\n"+
			"max_worker_lifetime = 0\nauto_update = %t\nreload_config = %t\ncount = %d\n",
			s.address(), w.path(programsDir(watched)), filepath.Join(home, "run"), filepath.Join(home, "state"),
			watched, watched, p.workers)
		name := filepath.Join(filepath.Base(home), "manager.ini")
		return [][]string{{w.path("gearman-manager"), "-c", w.path(name)}}, w.write(name, text)
	}
}

// watchIdle notes what an idle manager does that watches its programs, beside
// another one that does not.
func watchIdle(ctx context.Context, b *bench, f *fleet) error {
	c := f.contender
	c.job, c.commands = programJob(false), watchingCommand(false)
	blind, err := startFleet(ctx, c, b.workshop, b.server, f.plan)
	if err != nil {
		return err
	}
	defer func() { _ = blind.stop(ctx) }()
	if err := rest(ctx, settle); err != nil {
		return err
	}
	before, err := restings(f, blind)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := rest(ctx, watchTime); err != nil {
		return err
	}
	length := time.Since(began)
	after, err := restings(f, blind)
	if err != nil {
		return err
	}
	quantities := [][2]quantity{{watchingWakeups, watchingTime}, {blindWakeups, blindTime}}
	for i, q := range quantities {
		b.note(f, q[0], 0, float64(after[i].wakeups-before[i].wakeups)/length.Seconds())
		b.note(f, q[1], 0, milliseconds(after[i].cpu-before[i].cpu)/length.Minutes())
	}
	return nil
}

// resting is what a manager has used so far.
type resting struct {
	wakeups uint64
	cpu     time.Duration
}

// restings reads it of the managers of fleets.
func restings(fleets ...*fleet) ([]resting, error) {
	var all []resting
	for _, f := range fleets {
		n, err := wakeups(f.children[0].pid())
		if err != nil {
			return nil, err
		}
		cpu, err := ownTime(f.children[0].pid())
		if err != nil {
			return nil, err
		}
		all = append(all, resting{n, cpu})
	}
	return all, nil
}

// percentile is the smallest figure that so many percent of all do not exceed.
func (s sample) percentile(percent int) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[(len(sorted)*percent+99)/100-1]
}
