package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

const (
	// reloadWorkers are the workers whose code is changed, and moreReloadWorkers as
	// many as these become by an edit of the config.
	reloadWorkers, moreReloadWorkers = 4, 50
	// askedSlots is the size of the fleet that is asked for its status, in workers of
	// slotsEach slots where they can have several.
	askedSlots, slotsEach = 500, 10
	// commandCalls and statusCalls are how often that is done in a run.
	commandCalls, statusCalls = 5, 100
	// manyPrograms is the number of programs in a worker directory that is watched.
	manyPrograms = 100
	// watchTime is how long an idle manager is looked at that watches programs. It
	// looks for changes by itself twice a minute, so that nothing shorter will do.
	watchTime = 30 * time.Second
)

// reloadSteps are all parts of a run for the reload table.
func reloadSteps() []step {
	var all []step
	for _, workers := range []int{reloadWorkers, moreReloadWorkers} {
		for _, busy := range []bool{false, true} {
			all = append(all, step{
				name: "new code, " + workersAre(busy), job: editionJob(), plan: plan{workers: workers},
				measure: func(ctx context.Context, b *bench, f *fleet) error { return b.deployments(ctx, f, busy) },
			})
		}
	}
	all = append(all, step{name: "more workers", job: editionJob(), plan: plan{workers: reloadWorkers}, measure: resize})
	for _, c := range []struct{ id, lines string }{
		{"re-plugin", fmt.Sprintf("[edition]\nconcurrency = %d\n", slotsEach)}, {"re-php", "[edition]\n"},
	} {
		all = append(all, step{
			name: "status", job: editionJob(), plan: plan{workers: askedSlots}, measure: askStatus,
			only: []string{c.id}, commands: managerCommand(c.id, "", c.lines),
		})
	}
	return append(all, step{
		name: "idle, watching programs", job: programJob(true), plan: plan{workers: 1}, measure: watchIdle,
		once: true, only: []string{"re-php"}, commands: watchingCommand(true),
	})
}

// workersAre tells what workers do while their code is changed.
func workersAre(busy bool) string {
	if busy {
		return fmt.Sprintf("jobs of %v in hand", busyJob)
	}
	return "idle"
}

// ways are how a manager of so many workers hears of new code: whether it is told.
func ways(workers int) []bool {
	if workers == reloadWorkers {
		return []bool{false, true}
	}
	return []bool{false}
}

// deployments notes how long new editions took, one that is noticed and one that is
// told.
func (b *bench) deployments(ctx context.Context, f *fleet, busy bool) error {
	known := editions()
	for i, told := range ways(f.plan.workers) {
		d := deployment{edition: known[i+1], before: known[i], busy: busy, told: told}
		act := func(context.Context) error { return nil }
		switch {
		case f.contender.restarted:
			act = func(ctx context.Context) error { return f.restart(ctx, b.workshop) }
		case told:
			act = f.reload
		}
		r, err := f.deploy(ctx, b.workshop, d, act)
		if err != nil {
			return err
		}
		b.note(f, d.quantity(firstAnswer), 0, milliseconds(r.first))
		b.note(f, d.quantity(lastReplaced), 0, milliseconds(r.last))
		b.note(f, d.quantity(leastPresent), 0, float64(r.least))
		if err := rest(ctx, betweenKills); err != nil {
			return err
		}
	}
	return nil
}

// errNotReloaded is a reload that found something wrong.
var errNotReloaded = errors.New("the manager did not reload")

// reload tells the manager to look for changes.
func (f *fleet) reload(ctx context.Context) error {
	client, err := f.control()
	if err != nil {
		return err
	}
	report, err := client.Reload(ctx, control.ReloadRequest{})
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("%w: %s", errNotReloaded, report.Problems[0].Message)
	}
	return err
}

// config is the config file of the manager.
func (f *fleet) config() string { return f.commands[0][2] }

// control is for questions to the manager.
func (f *fleet) control() (*control.Client, error) {
	sockets, err := filepath.Glob(filepath.Join(filepath.Dir(f.config()), "run", "*", "control"))
	if err != nil || len(sockets) != 1 {
		return nil, fmt.Errorf("find control socket: %d of them: %w", len(sockets), errors.Join(err, fs.ErrNotExist))
	}
	return control.NewClient(sockets[0]), nil
}

// restart stops the manager and starts it anew, as planned now. It does not wait for
// workers.
func (f *fleet) restart(ctx context.Context, w *workshop) error {
	if err := f.children[0].stop(stopGrace); err != nil {
		return err
	}
	commands, err := f.contender.commands(w, f.server, f.plan)
	if err != nil {
		return err
	}
	f.commands = commands
	f.children[0], err = startChild(ctx, w.dir, commands[0]...)
	return err
}

// resize notes how long more workers took that the config asks for.
func resize(ctx context.Context, b *bench, f *fleet) error {
	before := f.plan.workers
	f.plan.workers = moreReloadWorkers
	act := func() error { return f.restart(ctx, b.workshop) }
	if !f.contender.restarted {
		staged := f.config() + ".new"
		if err := editCount(f.config(), staged, before, moreReloadWorkers); err != nil {
			return err
		}
		act = func() error { return os.Rename(staged, f.config()) }
	}
	began := time.Now()
	if err := act(); err != nil {
		return fmt.Errorf("change the number of workers: %w", err)
	}
	if err := f.await(ctx, moreReloadWorkers); err != nil {
		return err
	}
	f.plan.workers = before // under which the figure is noted
	b.note(f, resizedAfter, 0, milliseconds(time.Since(began)))
	return nil
}

// editCount copies a config with another number of workers.
func editCount(file, staged string, before, after int) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("edit config: %w", err)
	}
	line := func(n int) string { return fmt.Sprintf("dedicated_count = %d\n", n) }
	text := strings.Replace(string(data), line(before), line(after), 1)
	if err := os.WriteFile(staged, []byte(text), 0o600); err != nil {
		return fmt.Errorf("edit config: %w", err)
	}
	return nil
}
