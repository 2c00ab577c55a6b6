package manager

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// maxFunctionsShown bounds the functions that a line of the table names, in characters; the rest is counted.
const maxFunctionsShown = 32

// Table writes the plan for people: one line for each pool, with the place in the config where its number came from.
func (p *Plan) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POOL\tFUNCTIONS\tPROGRAM\tKIND\tWORKERS\tFROM") //nolint:errcheck // Flush returns it
	for _, pool := range p.Pools {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", //nolint:errcheck // Flush returns it
			pool.Name, pool.functionsCell(), pool.programCell(), pool.Kind, pool.workersCell(), pool.Origin)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// functionsCell names the functions of a pool as far as there is room.
func (p PoolPlan) functionsCell() string {
	if len(p.Functions) == 0 {
		return "none"
	}
	cell := p.Functions[0].Name
	for i, f := range p.Functions[1:] {
		if len(cell)+len(f.Name)+2 > maxFunctionsShown {
			return fmt.Sprintf("%s and %d more", cell, len(p.Functions)-1-i)
		}
		cell += ", " + f.Name
	}
	return cell
}

// programCell names what is run: the command line with the name of its program, or the file.
func (p PoolPlan) programCell() string {
	switch {
	case p.Program == "" && p.Kind == KindPHP:
		return "PHP files"
	case p.Program == "":
		return "executables"
	case len(p.Functions) == 1 && len(p.Functions[0].Command) > 1:
		words := p.Functions[0].Command
		return shorten(filepath.Base(words[0])+" "+strings.Join(words[1:], " "), maxFunctionsShown)
	default:
		return filepath.Base(p.Program)
	}
}

// shorten cuts a text to n bytes and puts control characters out of the way.
func shorten(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > n {
		return strings.ToValidUTF8(text[:n-3], "") + "..."
	}
	return text
}

// workersCell gives the slots, and how many processes they are in where these are fewer.
func (p PoolPlan) workersCell() string {
	switch p.Workers {
	case p.Slots:
		return fmt.Sprint(p.Slots)
	case 1:
		return fmt.Sprintf("%d in 1 process", p.Slots)
	default:
		return fmt.Sprintf("%d in %d processes", p.Slots, p.Workers)
	}
}
