package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// quarantine lists and releases suspect jobs.
type quarantine struct {
	reach  *reach
	json   bool
	all    bool
	server string
}

func quarantineCommand() command {
	return command{
		name: "quarantine", args: "[list | release HANDLE | release --all]", complete: completeQuarantine, short: "list or release jobs that killed their workers",
		long: `
A job is suspect when its worker died, or it ran over its timeout. When it has
used up job_attempts it is in quarantine: whoever is given it by a job server
answers it with an exception and does not run it. A suspect is forgotten 24
hours after the last time, a job in quarantine after 7 days, and the oldest one
where there are more than 1,000. The list survives a restart of the manager.

"release" makes a job like any other, with all its attempts. One that was
answered already is gone; its client has to send it again.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			q := &quarantine{reach: addReach(fs)}
			fs.BoolVar(&q.json, "json", false, "Write the list as one JSON object.")
			fs.BoolVar(&q.all, "all", false, "Release all jobs.")
			fs.StringVar(&q.server, "server", "", "Release only the job of this job `SERVER`, HOST:PORT as the list shows it; others may have one of the same handle.")
			return q.run
		},
	}
}

func (q *quarantine) run(ctx context.Context, std *streams, args []string) error {
	do, err := q.parse(args)
	if err != nil {
		return err
	}
	return q.reach.do(ctx, std, do)
}

// parse reads what is to be done.
func (q *quarantine) parse(args []string) (request, error) {
	verb := "list"
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	switch {
	case verb == "list" && (q.all || q.server != ""):
		return nil, &usageError{problem: "--all and --server belong to release"}
	case verb == "list" && len(args) > 0:
		return nil, noArguments(args)
	case verb == "list":
		return q.list, nil
	case verb != "release":
		return nil, &usageError{problem: fmt.Sprintf("want list or release, got %q", verb)}
	case q.json:
		return nil, &usageError{problem: "--json belongs to list"}
	case q.all && (len(args) > 0 || q.server != ""):
		return nil, &usageError{problem: "--all and a single job exclude each other"}
	case q.all:
		return q.release(control.ReleaseRequest{All: true}), nil
	case len(args) != 1 || args[0] == "":
		return nil, &usageError{problem: fmt.Sprintf("want the handle of one job, or --all, got %d", len(args))}
	}
	return q.release(control.ReleaseRequest{Server: q.server, Handle: args[0]}), nil
}

func (q *quarantine) list(ctx context.Context, std *streams, client *control.Client) error {
	got, err := client.Quarantine(ctx)
	if err != nil {
		return err
	}
	if q.json {
		return writeJSON(std.out, got)
	}
	if len(got.Jobs) == 0 {
		_, err := fmt.Fprintln(std.out, "no job is suspect or in quarantine")
		return err
	}
	rows := [][]string{{"HANDLE", "FUNCTION", "UNIQUE", "SERVER", "STATE", "ATTEMPTS", "LAST", "CAUSE"}}
	now := time.Now()
	for _, j := range got.Jobs {
		state := "suspect"
		if j.Quarantined {
			state = "quarantine"
		}
		unique := j.Unique
		if unique == "" {
			unique = "-"
		}
		rows = append(rows, []string{
			j.Handle, j.Function, unique, j.Server, state, fmt.Sprint(j.Attempts), brief(ago(now, j.Last)) + " ago", j.Cause,
		})
	}
	return writeTable(std.out, rows)
}

func (q *quarantine) release(req control.ReleaseRequest) request {
	return func(ctx context.Context, std *streams, client *control.Client) error {
		n, err := client.Release(ctx, req)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.out, "released %s\n", plural(n, "job", "jobs"))
		return err
	}
}
