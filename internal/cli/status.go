package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// status shows a fleet that runs.
type status struct {
	reach *reach
	json  bool
}

func statusCommand() command {
	return command{
		name: "status", short: "show the fleet that runs",
		long: `
A line for each worker. SLOTS are those that are registered with a job server,
and all; DONE are jobs of this process, failed ones among them; ? is what cannot
be known. Below is what may need somebody: job servers that cannot be reached,
workers that cannot be started, jobs that are suspect or in quarantine.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			s := &status{reach: addReach(fs)}
			fs.BoolVar(&s.json, "json", false, "Write all that is known as one JSON object.")
			return s.run
		},
	}
}

func (s *status) run(ctx context.Context, std *streams, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	client, err := s.reach.connect(ctx, std)
	if err != nil {
		return err
	}
	fleet, err := client.Status(ctx)
	if err != nil {
		return s.reach.explain(err)
	}
	if s.json {
		return writeJSON(std.out, fleet)
	}
	return statusTable(std.out, fleet)
}

// writeJSON writes a value for scripts, and for people who look at it.
func writeJSON(w io.Writer, value any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

// statusTable writes the fleet for people.
func statusTable(w io.Writer, s control.Status) error {
	rows := [][]string{{"WORKER", "KIND", "PID", "STATE", "SLOTS", "DONE", "FAILED", "RESTARTS", "JOBS IN HAND"}}
	for _, p := range s.Pools {
		if !p.Runs {
			rows = append(rows, []string{p.Name, p.Kind, "-", "not run", fmt.Sprint(p.Slots), "", "", "", ""})
		}
		for _, worker := range p.Workers {
			rows = append(rows, workerRow(p, worker))
		}
	}
	if err := writeTable(w, rows); err != nil {
		return err
	}
	_, err := io.WriteString(w, statusNotes(s))
	return err
}

// count is a number for people.
func count(n *uint64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

func workerRow(p control.Pool, w control.Worker) []string {
	pid := "-"
	if w.PID != 0 {
		pid = fmt.Sprint(w.PID)
	}
	var jobs []string
	for _, j := range w.Jobs {
		jobs = append(jobs, fmt.Sprintf("%s %s for %v", j.Function, j.Handle, time.Duration(j.ForMS)*time.Millisecond))
	}
	hand := strings.Join(jobs, ", ")
	if p.JobsUnknown {
		hand = "?"
	}
	state, done, failed := w.State, count(w.Done), count(w.Failed)
	if w.Stopped {
		state += ", stopped"
	}
	return []string{
		w.Name, p.Kind, pid, state, fmt.Sprintf("%d/%d", w.Ready, w.Slots), done, failed, fmt.Sprint(w.Restarts), hand,
	}
}

// statusNotes are the lines below the table: what somebody may have to look at.
func statusNotes(s control.Status) string {
	var b strings.Builder
	for _, server := range s.Servers {
		if !server.Lost.IsZero() {
			fmt.Fprintf(&b, "job server %s cannot be reached for %v: %s\n", server.Address, ago(s.At, server.Lost), plain(server.Error))
		}
	}
	for _, p := range s.Pools {
		switch {
		case p.GivenUp:
			fmt.Fprintf(&b, "%s: given up after %s; to try again: %s retry %s\n",
				plain(p.Name), plural(p.Failures, "failed start", "failed starts"), programName, plain(firstOf(p.Functions)))
		case p.Failures > 0 && p.NextTry.After(s.At):
			fmt.Fprintf(&b, "%s: %s, the next try is in %v\n", plain(p.Name), plural(p.Failures, "failed start", "failed starts"), p.NextTry.Sub(s.At).Round(time.Second))
		}
	}
	if s.Suspects > 0 || s.Quarantined > 0 {
		fmt.Fprintf(&b, "%s in quarantine, %s: %s quarantine\n", plural(s.Quarantined, "job", "jobs"), plural(s.Suspects, "suspect", "suspects"), programName)
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n" + b.String()
}

// writeTable writes rows for people, of which the first is the heading.
func writeTable(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = plain(cell)
		}
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// plain makes a text of clients, workers and servers harmless for a terminal, and one
// line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, text)
}

// firstOf is the first of some names; a pool has one at least.
func firstOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ago is how long before now something was, in whole seconds.
func ago(now, then time.Time) time.Duration { return max(0, now.Sub(then)).Truncate(time.Second) }
