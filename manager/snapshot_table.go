package manager

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Table writes the fleet for people, a line for each worker. The error is w's.
func (s Snapshot) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{"WORKER\tKIND\tPID\tSTATE\tSLOTS\tDONE\tFAILED\tRESTARTS\tJOBS IN HAND"}
	for _, p := range s.Pools {
		if !p.Runs {
			lines = append(lines, fmt.Sprintf("%s\t%s\t-\tnot run\t%d\t\t\t\t", p.Name, p.Kind, p.Slots))
		}
		for _, worker := range p.Workers {
			lines = append(lines, worker.row(p.Kind))
		}
	}
	if _, err := fmt.Fprintln(t, strings.Join(lines, "\n")); err != nil {
		return err
	}
	return t.Flush()
}

// row is the line of one worker.
func (w WorkerStatus) row(kind Kind) string {
	pid := "-"
	if w.PID != 0 {
		pid = fmt.Sprint(w.PID)
	}
	var jobs []string
	for _, j := range w.Jobs {
		jobs = append(jobs, fmt.Sprintf("%s %s for %v", j.Function, j.Handle, j.Since.Round(time.Millisecond)))
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%d/%d\t%d\t%d\t%d\t%s",
		w.Name, kind, pid, w.State, w.Ready, w.Slots, w.Done, w.Failed, w.Restarts, strings.Join(jobs, ", "))
}
