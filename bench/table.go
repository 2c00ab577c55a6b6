package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// headLines is the number of lines above the figures.
const headLines = 3

// column is one column of figures.
type column struct {
	head [headLines]string
	key  key // its contender is filled in for each row
	// digits behind the point.
	digits int
}

// columns are the figures of the table, from left to right.
func columns() []column {
	rate := func(workers, inFlight int) column {
		return column{
			head: [...]string{"jobs/s", plural(workers, "worker"), fmt.Sprintf("%d in flight", inFlight)},
			key:  key{quantity: jobsPerSecond, workers: workers, inFlight: inFlight},
		}
	}
	cpu := func(workers int) column {
		return column{
			head: [...]string{"CPU a job", plural(workers, "worker"), "µs"},
			key:  key{quantity: cpuPerJob, workers: workers, inFlight: fullInFlight},
		}
	}
	mib := func(workers int) column {
		return column{
			head:   [...]string{"PSS", plural(workers, "worker"), "MiB"},
			key:    key{quantity: memory, workers: workers},
			digits: 1,
		}
	}
	return []column{
		rate(fewWorkers, oneInFlight), rate(fewWorkers, fullInFlight),
		rate(someWorkers, oneInFlight), rate(someWorkers, fullInFlight),
		cpu(fewWorkers), cpu(someWorkers),
		mib(fewWorkers), mib(manyWorkers),
	}
}

// writeTable prints the rows of the first table: two lines for each, medians
// above and spreads beneath. It prints nothing if there are none.
func writeTable(w io.Writer, rows []contender, r results) error {
	rows = slices.DeleteFunc(slices.Clone(rows), func(c contender) bool { return c.table != speedTable })
	if len(rows) == 0 {
		return nil
	}
	cols := columns()
	heads := [headLines][]string{{""}, {"median"}, {"(smallest–largest)"}}
	for i := range heads {
		for _, c := range cols {
			heads[i] = append(heads[i], c.head[i])
		}
	}
	heads[0] = append(heads[0], "manager", "jobs/s at 50 in flight over")
	heads[1] = append(heads[1], "CPU", "those of another row,")
	heads[2] = append(heads[2], "% of core", "1 worker, 4 workers (wanted)")
	table := heads[:]
	for _, c := range rows {
		table = append(table, nil) // a rule
		table = append(table, rowLines(c, cols, r)...)
	}
	_, err := io.WriteString(w, render(table))
	return err
}

// rowLines gives the lines of one contender.
func rowLines(c contender, cols []column, r results) [][]string {
	above, beneath := figureCells(c, cols, r)
	m := managerFigure(c, r)
	above = append(above, number(m.median(), 2), "")
	beneath = append(beneath, spreadCell(m, 2), "")
	lines := [][]string{above, beneath}
	for i, rival := range c.against {
		if i >= len(lines) {
			lines = append(lines, make([]string, len(above)))
		}
		lines[i][len(above)-1] = ratioCell(c, rival, r)
	}
	if strings.Join(lines[1], "") == "" {
		return lines[:1]
	}
	return lines
}

// figureCells gives a contender's medians, behind its name, and their spreads.
func figureCells(c contender, cols []column, r results) (above, beneath []string) {
	above, beneath = []string{c.name}, []string{""}
	for _, col := range cols {
		k := col.key
		k.contender = c.id
		above = append(above, number(r[k].median(), col.digits))
		beneath = append(beneath, spreadCell(r[k], col.digits))
	}
	return above, beneath
}

// managerFigure is the busier of the manager's figures at full load.
func managerFigure(c contender, r results) sample {
	one := r[key{c.id, managerPercent, fewWorkers, fullInFlight}]
	some := r[key{c.id, managerPercent, someWorkers, fullInFlight}]
	if len(some) == 0 || one.median() > some.median() {
		return one
	}
	return some
}

// ratioCell compares a contender with a rival, and with what is wanted.
func ratioCell(c contender, against rival, r results) string {
	var parts []string
	met := true
	for i, workers := range []int{fewWorkers, someWorkers} {
		mine := r[key{c.id, jobsPerSecond, workers, fullInFlight}]
		theirs := r[key{against.id, jobsPerSecond, workers, fullInFlight}]
		ratio := mine.over(theirs).median()
		met = met && ratio >= against.wanted[i]
		parts = append(parts, number(ratio, 2))
	}
	verdict := "met"
	if !met {
		verdict = "missed"
	}
	if parts[0] == absent && parts[1] == absent {
		verdict = "not measured"
	}
	wanted := number(against.wanted[0], 2)
	if against.wanted[1] != against.wanted[0] {
		wanted += ", " + number(against.wanted[1], 2)
	}
	return fmt.Sprintf("%s: %s (≥ %s %s)", against.name, strings.Join(parts, ", "), wanted, verdict)
}

// absent stands for a figure that was not measured.
const absent = "–"

// number writes a figure with separated thousands.
func number(f float64, digits int) string {
	if math.IsNaN(f) {
		return absent
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(f, 'f', digits, 64), ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole
}

// spreadCell writes the smallest and the largest figure.
func spreadCell(s sample, digits int) string {
	if len(s) == 0 {
		return ""
	}
	smallest, largest := s.spread()
	return "(" + number(smallest, digits) + "–" + number(largest, digits) + ")"
}

// render aligns the cells: the first and the last column to the left, figures
// to the right. A nil line is a rule.
func render(table [][]string) string {
	widths := []int{}
	for _, line := range table {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, width := range widths {
		total += width
	}
	var out strings.Builder
	for _, line := range table {
		if line == nil {
			out.WriteString(strings.Repeat("─", total) + "\n")
			continue
		}
		cells := make([]string, len(line))
		for i, cell := range line {
			blank := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 || i == len(widths)-1 {
				cells[i] = cell + blank
			} else {
				cells[i] = blank + cell
			}
		}
		out.WriteString(strings.TrimRight(strings.Join(cells, "  "), " ") + "\n")
	}
	return out.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
