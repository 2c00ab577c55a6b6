package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	// Children are tied to the thread that starts them (see startChild).
	runtime.LockOSThread()
	// The garbage of millions of small packets should not take CPU from the workers.
	debug.SetGCPercent(800)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rows, tables string
	// operationRuns is the number of runs for the tables of operation and reload,
	// runs that for the others.
	runs, operationRuns int
	length              time.Duration
	json                bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{operationRuns: 3}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.rows, "rows", "", "contenders to compare, comma separated: "+strings.Join(ids(contenders()), ",")+" (default all that can run here)")
	flags.StringVar(&o.tables, "tables", "", "tables to print, comma separated: "+strings.Join(tables(), ",")+" (default all)")
	flags.IntVar(&o.runs, "runs", 5, "number of runs, of which the tables show the median; unless given, it is 3 for the tables of operation and reload")
	flags.DurationVar(&o.length, "time", 3*time.Second, "length of one measurement under load")
	flags.BoolVar(&o.json, "json", false, "print all figures as JSON instead of the table")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "runs" {
			o.operationRuns = o.runs
		}
	})
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("argument %q: only flags are taken", flags.Arg(0))
	case o.runs < 1 || o.length <= 0:
		return options{}, errors.New("-runs and -time have to be positive")
	}
	return o, nil
}

// run does all but exit.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	rows, err := choose(contenders(), o.rows, o.tables)
	if err != nil {
		return err
	}
	w, err := newWorkshop()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(w.dir)) }()
	b := &bench{
		settings: settings{runs: o.runs, operationRuns: o.operationRuns, length: o.length},
		workshop: w,
		results:  results{},
		progress: stderr,
	}
	if b.rows, err = b.build(ctx, rows, o.rows != ""); err != nil {
		return err
	}
	program, err := gearmand()
	if err != nil {
		return err
	}
	if b.server, err = startServer(ctx, program, w.dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.stop(stopGrace)) }()
	if b.busy, err = loadAverage(); err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	return b.report(stdout, o.json)
}

// choose picks the contenders that are named in rows and are in one of the tables
// named, in the order of the tables. An empty list names all.
func choose(all []contender, rows, names string) ([]contender, error) {
	asked, err := pick("-rows", rows, ids(all))
	if err != nil {
		return nil, err
	}
	printed, err := pick("-tables", names, tables())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c contender) bool {
		return !slices.Contains(asked, c.id) || !slices.Contains(printed, tables()[c.table])
	}), nil
}

// pick splits the list that a flag was given, all if it is empty.
func pick(flag, list string, all []string) ([]string, error) {
	if list == "" {
		return all, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%s: no %q; there are %s", flag, name, strings.Join(all, ", "))
		}
	}
	return names, nil
}

func ids(all []contender) []string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.id
	}
	return names
}

// build builds the contenders and returns those that can run. One that lacks
// something is left out with a word about it, unless it was asked for.
func (b *bench) build(ctx context.Context, rows []contender, asked bool) ([]contender, error) {
	var ready []contender
	for _, c := range rows {
		err := c.build(ctx, b.workshop)
		var missing *missingError
		switch {
		case errors.As(err, &missing) && !asked:
			if err := b.say("left out: %s: %v", c.name, err); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, fmt.Errorf("build %s: %w", c.name, err)
		default:
			ready = append(ready, c)
		}
	}
	if len(ready) == 0 {
		return nil, errors.New("no contender can run here")
	}
	return ready, nil
}

func newWorkshop() (*workshop, error) {
	module, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gearman-bench-*")
	if err != nil {
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	return &workshop{dir: dir, module: module}, nil
}

// gearmand finds the job server, which Debian keeps off users' PATH.
func gearmand() (string, error) {
	for _, name := range []string{"gearmand", "/usr/sbin/gearmand"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &missingError{"gearmand", "gearman-job-server"}
}

// report prints the figures.
func (b *bench) report(w io.Writer, asJSON bool) error {
	if asJSON {
		return b.results.writeJSON(w)
	}
	if err := errors.Join(writeTable(w, b.rows, b.results), writeCrowds(w, b.rows, b.results), writeOperation(w, b.rows, b.results),
		writeReload(w, b.rows, b.results)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
%s of all contenders in turn, %v for each measurement under load, %d cores, one gearmand;
for the tables of operation and reload %s, of %v for each measurement under load of operation.
The load generator took at most %s %% of a core and %s µs of CPU a job, at 50 in flight.
The load average of the minute before was %s; more than 0.5 means that others took CPU, too.
`,
		plural(b.runs, "run"), b.length, runtime.NumCPU(), plural(b.operationRuns, "run"), b.operationLength(),
		number(b.results.largest(loadPercent), 0), number(b.results.largest(loadPerJob), 1), b.busy)
	return err
}
