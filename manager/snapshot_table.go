package manager

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Table writes the fleet for people, a line for each worker.
func (s Snapshot) Table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WORKER\tKIND\tPID\tSTATE\tSLOTS\tDONE\tFAILED\tRESTARTS\tJOBS IN HAND")
	for _, p := range s.Pools {
		if !p.Runs {
			fmt.Fprintf(t, "%s\t%s\t-\tnot run\t%d\t\t\t\t\n", p.Name, p.Kind, p.Slots)
		}
		for _, worker := range p.Workers {
			worker.row(t, p.Kind)
		}
	}
	_ = t.Flush() // what cannot be written cannot be told to anybody either
}

// row writes one worker.
func (w WorkerStatus) row(t io.Writer, kind Kind) {
	pid := "-"
	if w.PID != 0 {
		pid = fmt.Sprint(w.PID)
	}
	var jobs []string
	for _, j := range w.Jobs {
		jobs = append(jobs, fmt.Sprintf("%s %s for %v", j.Function, j.Handle, j.Since.Round(time.Millisecond)))
	}
	fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d/%d\t%d\t%d\t%d\t%s\n",
		w.Name, kind, pid, w.State, w.Ready, w.Slots, w.Done, w.Failed, w.Restarts, strings.Join(jobs, ", "))
}
