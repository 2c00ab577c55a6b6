package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	tests := []struct {
		f      float64
		digits int
		want   string
	}{
		{0, 0, "0"},
		{999, 0, "999"},
		{1000, 0, "1,000"},
		{12345.6, 0, "12,346"},
		{1234567.25, 2, "1,234,567.25"},
		{-1234, 0, "-1,234"},
		{-123, 0, "-123"},
		{1.005, 1, "1.0"},
		{math.NaN(), 2, absent},
	}
	for _, tt := range tests {
		if got := number(tt.f, tt.digits); got != tt.want {
			t.Errorf("number(%v, %d) = %q, want %q", tt.f, tt.digits, got, tt.want)
		}
	}
}

// exampleResults has figures for three contenders, and none for the others.
func exampleResults() results {
	r := results{}
	for run := range 3 {
		noise := 1 + float64(run)/10
		for _, workers := range []int{fewWorkers, someWorkers} {
			for _, inFlight := range []int{oneInFlight, fullInFlight} {
				rate := float64(1000*workers+100*inFlight) * noise
				r.add(key{"plugin", jobsPerSecond, workers, inFlight}, rate*1.4)
				r.add(key{"php", jobsPerSecond, workers, inFlight}, rate)
				r.add(key{"c", jobsPerSecond, workers, inFlight}, rate*1.5)
				r.add(key{"plugin", cpuPerJob, workers, inFlight}, 25*noise)
				r.add(key{"plugin", managerPercent, workers, inFlight}, 0.1*float64(workers)*noise)
			}
		}
		r.add(key{"crowd", memory, crowdWorkers, 0}, 60*noise)
		r.add(key{"crowd", managerMemory, crowdWorkers, 0}, 15*noise)
		r.add(key{"crowd", registeredAfter, crowdWorkers, 0}, 200*noise)
		r.add(key{"crowd", successorAfter, crowdWorkers, 0}, 19*noise)
		for _, id := range []string{"op-plugin", "op-fork"} {
			r.add(key{id, registeredAfter, turnoverWorkers, 0}, 200*noise)
			r.add(key{id, successorAfter, turnoverWorkers, 0}, 13.3*noise)
			r.add(key{id, jobsUnder("reverse", 0), someWorkers, fullInFlight}, 17000*noise)
			r.add(key{id, jobsUnder("reverse", 1000), someWorkers, fullInFlight}, 14000*noise)
			r.add(key{id, jobsUnder("linger", 0), someWorkers, fullInFlight}, 1700*noise)
			r.add(key{id, jobsUnder("linger", 100), someWorkers, fullInFlight}, 1300*noise)
			r.add(key{id, jobsUnder("reverse", 0), fewWorkers, fullInFlight}, 15000*noise)
			r.add(key{id, jobsUnder("reverse", 1), fewWorkers, fullInFlight}, 61*noise)
			r.add(key{id, managerWakeups, manyIdleWorkers, 0}, 1.3*noise)
			r.add(key{id, managerMemory, idleWorkers, 0}, 20*noise)
		}
		r.add(key{"plugin", memory, fewWorkers, 0}, 20*noise)
		r.add(key{"plugin", memory, manyWorkers, 0}, 80*noise)
	}
	return r
}

// update rewrites the expected table: go test ./bench -update.
var update = flag.Bool("update", false, "rewrite testdata")

func TestTables(t *testing.T) {
	t.Parallel()
	for golden, write := range map[string]func(io.Writer, []contender, results) error{
		"testdata/table.txt":     writeTable,
		"testdata/crowd.txt":     writeCrowds,
		"testdata/operation.txt": writeOperation,
	} {
		t.Run(golden, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			if err := write(&got, contenders(), exampleResults()); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// A table without rows is not printed, not even its head.
func TestNoTable(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	crowds, others := []contender{crowd("crowd", "forked", "", nil)}, []contender{{id: "c", name: "C"}}
	if err := errors.Join(writeTable(&got, crowds, results{}), writeCrowds(&got, others, results{}), writeOperation(&got, append(crowds, others...), results{})); err != nil {
		t.Fatal(err)
	}
	if got.String() != "" {
		t.Errorf("printed:\n%s", got.String())
	}
}

func TestLimitCell(t *testing.T) {
	t.Parallel()
	c := crowd("crowd", "forked", "", []limit{{memory, 70}, {registeredAfter, 219}, {successorAfter, 20}})
	if got, want := limitCell(c, exampleResults()), "≤ 70 MiB met, ≤ 219 ms missed, ≤ 20 ms missed"; got != want {
		t.Errorf("limits = %q, want %q", got, want)
	}
	if got, want := limitCell(c, results{}), "≤ 70 MiB not measured, ≤ 219 ms not measured, ≤ 20 ms not measured"; got != want {
		t.Errorf("limits without figures = %q, want %q", got, want)
	}
}

func TestRatioCell(t *testing.T) {
	t.Parallel()
	r := exampleResults()
	plugin := contenders()[0]
	plugin.against = append(plugin.against, rival{"php", "PHP loop", [...]float64{1.3, 1.5}})
	if got, want := ratioCell(plugin, plugin.against[0], r), "PHP loop: 1.40, 1.40 (≥ 1.30 met)"; got != want {
		t.Errorf("ratio over PHP = %q, want %q", got, want)
	}
	if got, want := ratioCell(plugin, plugin.against[1], r), "C: 0.93, 0.93 (≥ 0.95 missed)"; got != want {
		t.Errorf("ratio over C = %q, want %q", got, want)
	}
	if got, want := ratioCell(plugin, plugin.against[2], r), "PHP loop: 1.40, 1.40 (≥ 1.30, 1.50 missed)"; got != want {
		t.Errorf("ratio over PHP, more wanted with 4 workers = %q, want %q", got, want)
	}
	if got, want := ratioCell(plugin, plugin.against[0], results{}), "PHP loop: –, – (≥ 1.30 not measured)"; got != want {
		t.Errorf("ratio without figures = %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var first, second strings.Builder
	for _, out := range []*strings.Builder{&first, &second} {
		if err := exampleResults().writeJSON(out); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(first.String(), second.String()); diff != "" {
		t.Errorf("the order changes from call to call:\n%s", diff)
	}
	var records []record
	if err := json.Unmarshal([]byte(first.String()), &records); err != nil {
		t.Fatal(err)
	}
	if want := len(exampleResults()); len(records) != want {
		t.Errorf("%d records, want %d", len(records), want)
	}
	for _, r := range records {
		if len(r.Runs) != 3 || r.Min > r.Median || r.Median > r.Max {
			t.Errorf("record %+v does not hold together", r)
		}
	}
}
