package cli

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
)

// completing finds what may stand at a place behind a command.
type completing func(context.Context, *typed) candidates

// words are candidates without descriptions.
func words(all ...string) candidates {
	found := candidates{kind: someWords}
	for _, w := range all {
		found.words = append(found.words, candidate{word: w})
	}
	return found
}

// ask asks the manager of the command line, in silence. A config in PHP is not run for
// it.
func (t *typed) ask(ctx context.Context) *control.Client {
	std := &streams{in: bytes.NewReader(nil), out: io.Discard, err: io.Discard}
	var client *control.Client
	var err error
	if phpconfig.IsPHP(t.reach.file) && t.reach.socket == "" {
		client, err = t.reach.search(ctx, "", "")
	} else {
		client, err = t.reach.connect(ctx, std)
	}
	if err != nil {
		return nil
	}
	return client
}

// pools are those of the manager, none if there is none.
func (t *typed) pools(ctx context.Context) []control.Pool {
	client := t.ask(ctx)
	if client == nil {
		return nil
	}
	s, err := client.Status(ctx)
	if err != nil {
		return nil
	}
	return s.Pools
}

// functions are the names of functions, and of shared pools.
func functions(pools []control.Pool) (names []string) {
	for _, p := range pools {
		names = append(append(names, p.Functions...), p.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// completeFunction completes the only argument, a function.
func completeFunction(ctx context.Context, t *typed) candidates {
	if len(t.args) > 0 {
		return words()
	}
	return words(functions(t.pools(ctx))...)
}

// completeWorker completes a function or a worker.
func completeWorker(ctx context.Context, t *typed) candidates {
	if len(t.args) > 0 {
		return words()
	}
	pools := t.pools(ctx)
	names := functions(pools)
	for _, p := range pools {
		for _, w := range p.Workers {
			names = append(names, w.Name)
		}
	}
	return words(names...)
}

// completeScaling completes FUNCTION= of pools that can be scaled.
func completeScaling(ctx context.Context, t *typed) candidates {
	found := candidates{kind: openWords}
	for _, p := range t.pools(ctx) {
		found.words = append(found.words, candidate{word: p.Name + "="})
	}
	return found
}

// completeLevel completes a function and a level.
func completeLevel(ctx context.Context, t *typed) candidates {
	if len(t.args) > 1 {
		return words()
	}
	found := words("default")
	for _, names := range levelNames() {
		found.words = append(found.words, candidate{word: names[0]})
	}
	if len(t.args) == 0 {
		found.words = append(found.words, words(functions(t.pools(ctx))...).words...)
	}
	return found
}

// completeQuarantine completes what is done with suspect jobs, and their handles.
func completeQuarantine(ctx context.Context, t *typed) candidates {
	switch {
	case len(t.args) == 0:
		return words("list", "release")
	case len(t.args) > 1 || t.args[0] != "release":
		return words()
	}
	client := t.ask(ctx)
	if client == nil {
		return words()
	}
	got, err := client.Quarantine(ctx)
	if err != nil {
		return words()
	}
	found := words()
	for _, j := range got.Jobs {
		found.words = append(found.words, candidate{j.Handle, j.Function})
	}
	return found
}

// completeShell completes the name of a shell.
func completeShell(_ context.Context, t *typed) candidates {
	if len(t.args) > 0 {
		return words()
	}
	return words(shells()...)
}

// completeCommand completes the name of a command.
func completeCommand(_ context.Context, t *typed) candidates {
	if len(t.args) > 0 {
		return words()
	}
	return commandCandidates()
}
