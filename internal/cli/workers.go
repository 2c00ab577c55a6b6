package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/manager"
)

// workers shows the workers of a fleet.
type workers struct {
	reach *reach
	json  bool
}

func workersCommand() command {
	return command{
		name: "workers", args: "[FUNCTION]", complete: completeFunction, short: "show the workers that run, or those of a function",
		long: `
A line for each worker. STATE has the slots that are registered with a job
server, and all, where they differ; DONE are jobs of this process, failed ones
among them; RSS is memory of its own; VERSION is what its program says, or the
beginning of its hash; IN HAND is for how long which job; ? is what cannot be
known. A worker with * is to be replaced.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			w := &workers{reach: addReach(fs)}
			fs.BoolVar(&w.json, "json", false, "Write all that is known as a JSON array with one object for each worker.")
			return w.run
		},
	}
}

// workerJSON is a worker for scripts.
type workerJSON struct {
	Pool      string   `json:"pool"`
	Kind      string   `json:"kind"`
	Functions []string `json:"functions"`
	control.Worker
}

func (w *workers) run(ctx context.Context, std *streams, args []string) error {
	function, err := anyFunction(args)
	if err != nil {
		return err
	}
	return w.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		s, err := client.StatusOf(ctx, control.StatusQuery{Function: function, Memory: true})
		if err != nil {
			return err
		}
		if w.json {
			return writeJSON(std.out, workersJSON(s))
		}
		rows := [][]string{{"WORKER", "PID", "STATE", "DONE", "FAILED", "RESTARTS", "RSS", "VERSION", "IN HAND"}}
		for _, p := range s.Pools {
			for _, worker := range p.Workers {
				rows = append(rows, workerRow(p, worker))
			}
		}
		return writeTable(std.out, rows)
	})
}

func workersJSON(s control.Status) []workerJSON {
	all := []workerJSON{}
	for _, p := range s.Pools {
		for _, worker := range p.Workers {
			all = append(all, workerJSON{Pool: p.Name, Kind: p.Kind, Functions: p.Functions, Worker: worker})
		}
	}
	return all
}

func workerRow(p control.Pool, w control.Worker) []string {
	pid, rss := "-", "-"
	if w.PID != 0 {
		pid, rss = fmt.Sprint(w.PID), "?"
	}
	if w.RSSBytes != nil {
		rss = bytesText(*w.RSSBytes)
	}
	name, version := w.Name, w.Version
	if w.Outdated {
		name += "*"
	}
	if version == "" {
		version = versionText("", w.Hash)
	}
	return []string{
		name, pid, workerState(w), count(w.Done), count(w.Failed), fmt.Sprint(w.Restarts), rss, dash(version), inHand(p, w),
	}
}

// workerState is its state, with its slots where not all are registered.
func workerState(w control.Worker) string {
	state := w.State
	if w.Stopped {
		state += ", stopped"
	}
	if w.Ready < w.Slots && (w.Ready > 0 || w.State == string(manager.StateReady)) {
		state += fmt.Sprintf(" %d/%d", w.Ready, w.Slots)
	}
	return state
}

// inHand are the jobs of a worker.
func inHand(p control.Pool, w control.Worker) string {
	if p.JobsUnknown {
		return "?"
	}
	var jobs []string
	for _, j := range w.Jobs {
		jobs = append(jobs, strings.TrimSpace(fmt.Sprintf("%s %s %s", brief(time.Duration(j.ForMS)*time.Millisecond), j.Function, j.Handle)))
	}
	return strings.Join(jobs, ", ")
}
