package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// statusTable writes the fleet for people, with a function what there is to know of its
// pools.
func statusTable(w io.Writer, s control.Status, function string) error {
	if _, err := io.WriteString(w, statusHead(s)); err != nil {
		return err
	}
	rows := [][]string{{"POOL", "KIND", "SLOTS", "BUSY", "DONE", "FAILED", "STATE", "FUNCTIONS"}}
	for _, p := range s.Pools {
		rows = append(rows, poolRow(p, noServer(s)))
	}
	if len(s.Pools) == 0 {
		rows = [][]string{{"no pool of workers runs"}}
	}
	if err := writeTable(w, rows); err != nil {
		return err
	}
	var notes strings.Builder
	if function != "" {
		for _, p := range s.Pools {
			notes.WriteString(poolDetails(p))
		}
	}
	if more := statusNotes(s); notes.Len() > 0 && more != "" {
		notes.WriteString("\n" + more)
	} else {
		notes.WriteString(more)
	}
	if notes.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(w, "\n"+notes.String())
	return err
}

// statusHead says whose fleet it is.
func statusHead(s control.Status) string {
	head := fmt.Sprintf("process %d, up %s", s.Manager.PID, brief(s.At.Sub(s.Manager.Started)))
	if s.Manager.Config != "" {
		head += ", " + plain(s.Manager.Config)
	}
	return head + "\n\n"
}

func poolRow(p control.Pool, noServer bool) []string {
	busy := 0
	for _, w := range p.Workers {
		busy += len(w.Jobs)
	}
	hand := fmt.Sprint(busy)
	if p.JobsUnknown {
		hand = "?"
	}
	return []string{
		p.Name, p.Kind, fmt.Sprintf("%d/%d", readySlots(p), p.Slots), hand, count(p.Done), count(p.Failed), poolState(p, noServer), strings.Join(p.Functions, ", "),
	}
}

// noServer tells whether no job server can be reached.
func noServer(s control.Status) bool {
	return len(s.Servers) > 0 && !slices.ContainsFunc(s.Servers, func(j control.JobServer) bool { return j.Lost.IsZero() })
}

// poolState says in a word or two how a pool does: of all that is so the most
// important.
func poolState(p control.Pool, noServer bool) string {
	all := func(held []string) bool { return len(held) > 0 && len(held) >= len(p.Functions) }
	switch ready := readySlots(p); {
	case p.Leaving:
		return "leaving"
	case !p.Runs:
		return "not run"
	case p.GivenUp:
		return "given up"
	case all(p.Drained):
		return "drained"
	case all(p.Paused):
		return "paused"
	case p.Fault != "":
		return "fault"
	case p.Failures > 0:
		return "failing"
	case p.Outdated > 0:
		return "changing"
	case ready < p.Slots && noServer:
		return "no server"
	case ready < p.Slots:
		return "starting"
	case len(p.Paused)+len(p.Drained) > 0:
		return "part paused"
	default:
		return "ready"
	}
}

// poolDetails are the lines about one pool.
func poolDetails(p control.Pool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", plain(p.Name))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name, plain(text))
		}
	}
	line("program", p.Program)
	line("version", versionText(p.Version, p.Hash))
	from := p.Origin
	if from != "" {
		from = " (" + from + ")"
	}
	line("slots", fmt.Sprintf("%d%s in %s", p.Slots, from, plural(len(p.Workers), "worker", "workers")))
	line("paused", strings.Join(p.Paused, ", "))
	line("drained", strings.Join(p.Drained, ", "))
	if p.Outdated > 0 {
		line("changing", plural(p.Outdated, "worker is", "workers are")+" to be replaced")
	}
	return b.String()
}

// versionText is what a program says of itself, and the beginning of the hash of its
// code.
func versionText(version, hash string) string {
	const letters = 8
	hash = hash[:min(len(hash), letters)]
	switch {
	case version == "" || hash == "":
		return version + hash
	default:
		return version + " (" + hash + ")"
	}
}

// statusNotes are the lines below the table: what somebody may have to look at.
func statusNotes(s control.Status) string {
	var b strings.Builder
	for _, server := range s.Servers {
		if !server.Lost.IsZero() {
			fmt.Fprintf(&b, "job server %s cannot be reached for %s: %s\n", server.Address, brief(ago(s.At, server.Lost)), plain(server.Error))
		}
	}
	for _, p := range s.Pools {
		b.WriteString(poolNotes(s, p))
	}
	b.WriteString(heldNotes(s.Pools))
	b.WriteString(reloadNotes(s.Reload))
	if s.Suspects > 0 || s.Quarantined > 0 {
		fmt.Fprintf(&b, "%s in quarantine, %s: %s quarantine\n", plural(s.Quarantined, "job", "jobs"), plural(s.Suspects, "suspect", "suspects"), programName)
	}
	return b.String()
}

func poolNotes(s control.Status, p control.Pool) string {
	var b strings.Builder
	name, failed := plain(p.Name), plural(p.Failures, "failed start", "failed starts")
	switch {
	case p.GivenUp:
		fmt.Fprintf(&b, "%s: given up after %s; to try again: %s retry %s\n", name, failed, programName, plain(firstOf(p.Functions)))
	case p.Failures > 0 && p.NextTry.After(s.At):
		fmt.Fprintf(&b, "%s: %s, the next try is in %s\n", name, failed, brief(p.NextTry.Sub(s.At)))
	}
	if p.Fault != "" {
		fmt.Fprintf(&b, "%s: a change is not applied: %s\n", name, plain(p.Fault))
	}
	for _, w := range p.Workers {
		if w.Stopped {
			fmt.Fprintf(&b, "%s: process %d is stopped by a signal, and killed soon unless it is continued\n", plain(w.Name), w.PID)
		}
	}
	return b.String()
}

// heldNotes say what somebody has paused or drained. A function may be so in several
// pools.
func heldNotes(pools []control.Pool) string {
	var held []string
	for _, p := range pools {
		held = slices.Concat(held, p.Paused, p.Drained)
	}
	slices.Sort(held)
	held = slices.Compact(held)
	if len(held) == 0 {
		return ""
	}
	which := "FUNCTION"
	if len(held) == 1 {
		which = held[0]
	}
	return fmt.Sprintf("paused or drained by hand: %s; to go on: %s resume %s\n", plain(strings.Join(held, ", ")), programName, plain(which))
}

// reloadNotes say what is wrong with config and programs as the disk holds them.
func reloadNotes(r control.Reload) string {
	var b strings.Builder
	if r.Refused {
		b.WriteString("the config has errors, so the one before holds:\n")
	}
	for _, p := range r.Problems {
		fmt.Fprintln(&b, problemText(p))
	}
	if r.Polling != "" {
		fmt.Fprintf(&b, "changes are only looked for twice a minute: %s\n", plain(r.Polling))
	}
	return b.String()
}

// problemText is a problem as check writes it.
func problemText(p control.Problem) string {
	return plain(p.Severity + ": " + problemFrom(p).String())
}
