package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// operationRow is one figure of the operation table, for all contenders.
type operationRow struct {
	name   string
	key    key // its contender is filled in for each column
	digits int
	// unlimited is the quantity that the figure is given as a ratio of, if any,
	// with ratioDigits behind the point.
	unlimited   quantity
	ratioDigits int
	wanted      []floor
}

// floor is what a contender's figure, or its ratio, is wanted to be at least.
type floor struct {
	contender string
	least     float64
	ratio     bool
}

// operationRows are the lines of the table; nil is a rule.
func operationRows() []*operationRow {
	at := func(q quantity, workers, digits int, name string) *operationRow {
		return &operationRow{name: name, key: key{quantity: q, workers: workers}, digits: digits}
	}
	rows := []*operationRow{
		at(registeredAfter, turnoverWorkers, 0, fmt.Sprintf("start to the last of %d workers registered, ms", turnoverWorkers)),
		at(successorAfter, turnoverWorkers, 1, fmt.Sprintf("kill -9 of one of %d to its successor registered, ms", turnoverWorkers)),
		at(stoppedAfter, turnoverWorkers, 0, fmt.Sprintf("SIGTERM to the end of %d idle workers and the manager, ms", turnoverWorkers)),
		nil,
	}
	for _, workers := range []int{someWorkers, fewWorkers} {
		for _, j := range []job{reverseJob(), lingerJob()} {
			for _, maxRuns := range runLimits(workers) {
				rows = append(rows, limitRow(j.function, workers, maxRuns))
			}
			rows = append(rows, nil)
		}
	}
	for _, workers := range []int{idleWorkers, manyIdleWorkers} {
		rows = append(rows, at(managerWakeups, workers, 1, fmt.Sprintf("wakeups a second of the manager of %d idle workers", workers)))
	}
	for _, workers := range []int{idleWorkers, manyIdleWorkers} {
		rows = append(rows, at(managerMemory, workers, 1, fmt.Sprintf("PSS of the manager of %d idle workers, MiB", workers)))
	}
	return rows
}

// limitRow is the row of jobs a second under a limit of jobs a worker.
func limitRow(function string, workers, maxRuns int) *operationRow {
	row := &operationRow{
		name: fmt.Sprintf("%s, %s a second, %s", plural(workers, "worker"), jobName(function), limitName(maxRuns)),
		key:  key{quantity: jobsUnder(function, maxRuns), workers: workers, inFlight: fullInFlight},
	}
	switch maxRuns {
	case 0:
		return row
	case 1:
		row.ratioDigits = 4
	default:
		row.ratioDigits = 2
	}
	row.unlimited = jobsUnder(function, 0)
	row.wanted = wantedUnder(function, workers, maxRuns)
	return row
}

// wantedUnder is what is wanted of the workers under gearman-manager. The start of
// a worker costs what 140 instant jobs do, so nothing is wanted of 100 of these.
func wantedUnder(function string, workers, maxRuns int) []floor {
	linger := function == lingerJob().function
	switch {
	case workers == someWorkers && (linger && maxRuns == 100 || !linger && maxRuns == 1000):
		return []floor{{"op-plugin", 0.8, true}, {"op-php", 0.8, true}}
	case workers == fewWorkers && maxRuns == 1 && !linger:
		return []floor{{"op-plugin", 60, false}}
	default:
		return nil
	}
}

// writeOperation prints the table of operation, with a pair of columns for each
// contender, or nothing if there is none.
func writeOperation(w io.Writer, all []contender, r results) error {
	all = slices.DeleteFunc(slices.Clone(all), func(c contender) bool { return c.table != operationTable })
	if len(all) == 0 {
		return nil
	}
	heads := [2][]string{{"Operation: median"}, {"(smallest–largest)"}}
	for _, c := range all {
		heads[0] = append(heads[0], c.name, "to that of")
		heads[1] = append(heads[1], "", "never replaced")
	}
	table := [][]string{append(heads[0], "wanted"), append(heads[1], ""), nil}
	for _, row := range operationRows() {
		if row == nil {
			table = append(table, nil)
			continue
		}
		cells := []string{row.name}
		for _, c := range all {
			own, ratio := row.samples(c.id, r)
			cells = append(cells, bothCell(own, row.digits), bothCell(ratio, row.ratioDigits))
		}
		table = append(table, append(cells, row.verdicts(all, r)))
	}
	_, err := io.WriteString(w, "\n"+render(table))
	return err
}

// samples are a contender's figures, and their ratios where the row has them.
func (row *operationRow) samples(contender string, r results) (own, ratio sample) {
	k := row.key
	k.contender = contender
	own = r[k]
	if row.unlimited == "" {
		return own, nil
	}
	k.quantity = row.unlimited
	return own, own.over(r[k])
}

// verdicts compares the figures of a row with what is wanted.
func (row *operationRow) verdicts(all []contender, r results) string {
	var parts []string
	for _, want := range row.wanted {
		i := slices.IndexFunc(all, func(c contender) bool { return c.id == want.contender })
		if i < 0 {
			continue
		}
		s, ratio := row.samples(want.contender, r)
		digits := row.digits
		if want.ratio {
			s, digits = ratio, row.ratioDigits
		}
		verdict := "missed"
		switch {
		case len(s) == 0:
			verdict = "not measured"
		case s.median() >= want.least:
			verdict = "met"
		}
		parts = append(parts, fmt.Sprintf("%s ≥ %s %s", all[i].name, number(want.least, digits), verdict))
	}
	return strings.Join(parts, ", ")
}

// bothCell writes the median and the spread, or nothing if there is no figure.
func bothCell(s sample, digits int) string {
	if len(s) == 0 {
		return ""
	}
	return number(s.median(), digits) + " " + spreadCell(s, digits)
}
