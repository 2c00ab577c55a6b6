package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// crowdColumns are the figures of the second table, from left to right.
func crowdColumns() []column {
	figure := func(q quantity, digits int, head ...string) column {
		c := column{key: key{quantity: q, workers: crowdWorkers}, digits: digits}
		copy(c.head[:], head)
		return c
	}
	return []column{
		figure(memory, 1, "PSS", "of all", "MiB"),
		figure(managerMemory, 1, "PSS of", "the manager", "MiB"),
		figure(registeredAfter, 0, "start to", "all registered", "ms"),
		figure(successorAfter, 1, "kill -9 to", "successor registered", "ms"),
	}
}

// writeCrowds prints the second table, of the contenders that are crowds, or
// nothing if there are none.
func writeCrowds(w io.Writer, rows []contender, r results) error {
	rows = slices.DeleteFunc(slices.Clone(rows), func(c contender) bool { return c.table != crowdTable })
	if len(rows) == 0 {
		return nil
	}
	cols := crowdColumns()
	heads := [headLines][]string{
		{fmt.Sprintf("%d PHP workers of a file of %s lines", crowdWorkers, number(largeLines, 0))},
		{"under gearman-manager: median"},
		{"(smallest–largest)"},
	}
	for i := range heads {
		for _, c := range cols {
			heads[i] = append(heads[i], c.head[i])
		}
	}
	heads[0] = append(heads[0], "wanted")
	table := heads[:]
	for _, c := range rows {
		table = append(table, nil) // a rule
		above, beneath := figureCells(c, cols, r)
		table = append(table, append(above, limitCell(c, r)))
		if strings.Join(beneath, "") != "" {
			table = append(table, beneath)
		}
	}
	_, err := io.WriteString(w, "\n"+render(table))
	return err
}

// limitCell compares the figures of a crowd with what is wanted.
func limitCell(c contender, r results) string {
	var parts []string
	for _, l := range c.limits {
		s := r[key{c.id, l.quantity, crowdWorkers, 0}]
		verdict := "missed"
		switch {
		case len(s) == 0:
			verdict = "not measured"
		case s.median() <= l.most:
			verdict = "met"
		}
		unit := l.quantity[strings.LastIndexByte(string(l.quantity), ' ')+1:]
		most := strings.TrimSuffix(number(l.most, 1), ".0")
		parts = append(parts, fmt.Sprintf("≤ %s %s %s", most, unit, verdict))
	}
	return strings.Join(parts, ", ")
}
