package manager

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// The table fits a terminal of 120 columns where the names of pools are short.
const (
	// maxFunctionsShown bounds the names of functions in a line, in characters; the rest is counted.
	maxFunctionsShown = 22
	// maxProgramShown bounds the program, with its arguments.
	maxProgramShown = 16
)

// Table writes the plan for people: one line for each pool, with the place in the config where its number came from. A place in the section
// of the pool's own function is named without the section.
func (p *Plan) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POOL\tFUNCTIONS\tPROGRAM\tKIND\tWORKERS\tPROCS\tFROM") //nolint:errcheck // Flush returns it
	for _, pool := range p.Pools {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", //nolint:errcheck // Flush returns it
			pool.Name, pool.functionsCell(), pool.programCell(), pool.Kind, pool.Slots, pool.Workers,
			strings.TrimPrefix(pool.Origin, "["+pool.Name+"] "))
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
	cell := shorten(p.Functions[0].Name, maxFunctionsShown)
	for i, f := range p.Functions[1:] {
		room := maxFunctionsShown
		if i+2 < len(p.Functions) {
			room -= len(", 9 more")
		}
		if len(cell)+len(", "+f.Name) > room {
			return fmt.Sprintf("%s, %d more", cell, len(p.Functions)-1-i)
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
		return shorten(filepath.Base(words[0])+" "+strings.Join(words[1:], " "), maxProgramShown)
	default:
		return shorten(filepath.Base(p.Program), maxProgramShown)
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
