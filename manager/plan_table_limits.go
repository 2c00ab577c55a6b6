package manager

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/config"
)

// maxPoolsShown bounds the names of pools that have the same limits, in characters; the rest is counted.
const maxPoolsShown = 30

// noLimit stands where there is none.
const noLimit = "-"

// LimitsTable writes for people what the workers of each pool are held to. Pools that are alike share a line. Without pools nothing is written.
func (p *Plan) LimitsTable(w io.Writer) error {
	var lines []string
	pools := map[string][]string{}
	for _, pool := range p.Pools {
		line := strings.Join([]string{pool.timeoutCell(), pool.jobsCell(), pool.ageCell(), pool.memoryCell(), pool.processCell()}, "\t")
		if pools[line] == nil {
			lines = append(lines, line)
		}
		pools[line] = append(pools[line], pool.Name)
	}
	if len(lines) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LIMITS OF\tTIMEOUT\tJOBS\tAGE\tMEMORY\tOTHER") //nolint:errcheck // Flush returns it
	for _, line := range lines {
		names := poolsCell(pools[line])
		if len(lines) == 1 {
			names = "all pools"
		}
		fmt.Fprintf(t, "%s\t%s\n", names, line) //nolint:errcheck // Flush returns it
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write limits: %w", err)
	}
	return nil
}

// poolsCell names pools as far as there is room.
func poolsCell(names []string) string {
	cell := names[0]
	for i, name := range names[1:] {
		if len(cell)+len(", "+name) > maxPoolsShown {
			return fmt.Sprintf("%s, %d more", cell, len(names)-1-i)
		}
		cell += ", " + name
	}
	return cell
}

// timeoutCell is how long a job may take; functions of a shared pool may differ.
func (p PoolPlan) timeoutCell() string {
	if p.Kind == KindStandalone {
		return "unknown"
	}
	if len(p.Functions) == 0 {
		return noLimit
	}
	byTimeout := func(a, b FunctionPlan) int { return cmp.Compare(a.Timeout, b.Timeout) }
	least, most := slices.MinFunc(p.Functions, byTimeout).Timeout, slices.MaxFunc(p.Functions, byTimeout).Timeout
	switch {
	case most == 0:
		return noLimit
	case least == most:
		return shortDuration(most)
	default:
		return "differs"
	}
}

// jobsCell is after how many jobs a worker is replaced.
func (p PoolPlan) jobsCell() string {
	switch {
	case p.Kind == KindStandalone:
		return "unknown"
	case p.MaxRuns == 0:
		return noLimit
	default:
		return fmt.Sprint(p.MaxRuns)
	}
}

// ageCell is at what age a worker is replaced.
func (p PoolPlan) ageCell() string {
	switch {
	case p.MaxLifetime == 0:
		return noLimit
	case p.RestartSplay == 0:
		return shortDuration(p.MaxLifetime)
	default:
		return shortDuration(p.MaxLifetime) + " to " + shortDuration(p.MaxLifetime+p.RestartSplay)
	}
}

// memoryCell is at which memory a worker is replaced or killed.
func (p PoolPlan) memoryCell() string {
	var parts []string
	if p.MaxMemory > 0 {
		parts = append(parts, config.FormatSize(p.MaxMemory))
	}
	if p.MaxMemoryHard > 0 && p.Kind != KindExec { // of executables only the kernel's limit holds
		parts = append(parts, "killed at "+config.FormatSize(p.MaxMemoryHard))
	}
	return cmp.Or(strings.Join(parts, ", "), noLimit)
}

// processCell is what the kernel holds a worker to, and what is not as usual when it starts and ends.
func (p PoolPlan) processCell() string {
	var parts []string
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	l := p.Limits
	add(l.NoFile > 0, "nofile %d", l.NoFile)
	add(l.Data > 0, "data %s", config.FormatSize(int64(l.Data)))              //nolint:gosec // the config bounds it
	add(l.SetCore && l.Core > 0, "core %s", config.FormatSize(int64(l.Core))) //nolint:gosec // -1 is unlimited
	add(l.SetCore && l.Core == 0, "no core")
	add(l.Nice != 0, "nice %d", l.Nice)
	add(p.StartRetries > 0, "%d failed starts", p.StartRetries)
	add(p.KeepGroup, "group kept")
	add(p.ReloadBatch > 1, "%d replaced at a time", p.ReloadBatch)
	slow := p.slowCell()
	add(slow != "", "slow %s", slow)
	add(p.StopSignal != 0 && p.StopSignal != syscall.SIGTERM, "%s", unix.SignalName(p.StopSignal))
	return cmp.Or(strings.Join(parts, ", "), noLimit)
}

// slowCell is after how long jobs are logged as slow; functions of a shared pool may differ. It is empty where none is.
func (p PoolPlan) slowCell() string {
	cell := ""
	for i, f := range p.Functions {
		switch {
		case f.Slow > 0 && i == 0:
			cell = shortDuration(f.Slow)
		case i > 0 && f.Slow != p.Functions[0].Slow:
			return "differs"
		}
	}
	return cell
}

// shortDuration leaves out the parts that are 0.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
