package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// reloadRow is one figure of the reload table, for all contenders.
type reloadRow struct {
	name   string
	key    key // its contender is filled in for each column
	digits int
	// ratio tells that the figure is compared with that of the peer.
	ratio bool
	// least is what the figure of our workers is wanted to be at least, 0 for nothing.
	least float64
}

// peer is the contender that others are compared with.
const peer = "re-fork"

// reloadRows are the lines of the table; nil is a rule.
func reloadRows() []*reloadRow {
	at := func(q quantity, workers, digits int, format string, args ...any) *reloadRow {
		return &reloadRow{name: fmt.Sprintf(format, args...), key: key{quantity: q, workers: workers}, digits: digits}
	}
	var rows []*reloadRow
	for _, workers := range []int{reloadWorkers, moreReloadWorkers} {
		for _, busy := range []bool{false, true} {
			rows = append(append(rows, deployRows(workers, busy)...), nil)
		}
	}
	more := at(resizedAfter, reloadWorkers, 0, "config with %d instead of %d workers in place to the last registered, ms", moreReloadWorkers, reloadWorkers)
	more.ratio = true
	return append(rows, more, nil,
		at(statusCommand, askedSlots, 1, "gearman-manager status of %d slots, ms", askedSlots),
		at(workersCommand, askedSlots, 1, "gearman-manager workers, ms"),
		at(statusCall, askedSlots, 1, "/v1/status, ms"),
		at(statusCall99, askedSlots, 1, "/v1/status, p99 of %d calls, ms", statusCalls),
		nil,
		at(watchingWakeups, 1, 2, "wakeups a second of the idle manager, %d programs watched", manyPrograms),
		at(blindWakeups, 1, 2, "the same, not watched"),
		at(watchingTime, 1, 1, "CPU of it, %d programs watched, ms a minute", manyPrograms),
		at(blindTime, 1, 1, "the same, not watched"),
	)
}

// deployRows are the rows of new code.
func deployRows(workers int, busy bool) []*reloadRow {
	var rows []*reloadRow
	fleet := fmt.Sprintf("%s, %s: ", plural(workers, "worker"), workersAre(busy))
	for _, told := range ways(workers) {
		d := deployment{busy: busy, told: told}
		for _, figure := range []string{firstAnswer, lastReplaced, leastPresent} {
			row := &reloadRow{name: fleet + d.prefix() + figure, key: key{quantity: d.quantity(figure), workers: workers}, ratio: true}
			if figure == leastPresent {
				row.name, row.ratio, row.least = fleet+figure+" after "+strings.TrimSuffix(d.prefix(), " to "), false, float64(workers)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// writeReload prints the reload table, with a pair of columns for each contender, or
// nothing if there is none.
func writeReload(w io.Writer, all []contender, r results) error {
	all = slices.DeleteFunc(slices.Clone(all), func(c contender) bool { return c.table != reloadTable })
	if len(all) == 0 {
		return nil
	}
	heads := [2][]string{{"Reload: median"}, {"(smallest–largest)"}}
	for _, c := range all {
		if c.restarted {
			heads[0], heads[1] = append(heads[0], c.name), append(heads[1], "stopped and started")
			continue
		}
		heads[0], heads[1] = append(heads[0], c.name, "over that of"), append(heads[1], "", "the fork manager")
	}
	table := [][]string{append(heads[0], "wanted"), append(heads[1], ""), nil}
	for _, row := range reloadRows() {
		if row == nil {
			table = append(table, nil)
			continue
		}
		table = append(table, row.cells(all, r))
	}
	_, err := io.WriteString(w, "\n"+render(table))
	return err
}

// cells are those of a row.
func (row *reloadRow) cells(all []contender, r results) []string {
	figures := func(contender string) sample {
		k := row.key
		k.contender = contender
		return r[k]
	}
	cells := []string{row.name}
	for _, c := range all {
		own := figures(c.id)
		cells = append(cells, bothCell(own, row.digits))
		switch {
		case c.restarted:
		case row.ratio:
			cells = append(cells, bothCell(own.over(figures(peer)), 2))
		default:
			cells = append(cells, "")
		}
	}
	return append(cells, row.verdicts(all, figures))
}

// verdicts compares our figures of a row with what is wanted: each of them, not their
// median.
func (row *reloadRow) verdicts(all []contender, figures func(contender string) sample) string {
	var parts []string
	for _, c := range all {
		if row.least == 0 || c.restarted {
			continue
		}
		verdict := "missed"
		s := figures(c.id)
		smallest, _ := s.spread()
		switch {
		case len(s) == 0:
			verdict = "not measured"
		case smallest >= row.least:
			verdict = "met"
		}
		parts = append(parts, fmt.Sprintf("%s ≥ %s %s", c.name, number(row.least, 0), verdict))
	}
	return strings.Join(parts, ", ")
}
