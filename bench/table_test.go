package main

import (
	"encoding/json"
	"flag"
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
		r.add(key{"plugin", memory, fewWorkers, 0}, 20*noise)
		r.add(key{"plugin", memory, manyWorkers, 0}, 80*noise)
	}
	return r
}

// update rewrites the expected table: go test ./bench -update.
var update = flag.Bool("update", false, "rewrite testdata")

func TestTable(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	if err := writeTable(&got, contenders(), exampleResults()); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/table.txt"
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
}

func TestRatioCell(t *testing.T) {
	t.Parallel()
	r := exampleResults()
	plugin := contenders()[0]
	if got, want := ratioCell(plugin, plugin.against[0], r), "PHP loop: 1.40, 1.40 (≥ 1.30 met)"; got != want {
		t.Errorf("ratio over PHP = %q, want %q", got, want)
	}
	if got, want := ratioCell(plugin, plugin.against[1], r), "C: 0.93, 0.93 (≥ 0.95 missed)"; got != want {
		t.Errorf("ratio over C = %q, want %q", got, want)
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
