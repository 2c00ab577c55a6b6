package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// quantity names what a figure measures, with its unit.
type quantity string

// All quantities.
const (
	jobsPerSecond  quantity = "jobs/s"
	cpuPerJob      quantity = "CPU a job, µs"
	memory         quantity = "memory (PSS), MiB"
	managerPercent quantity = "manager CPU, % of a core"
	loadPercent    quantity = "load generator CPU, % of a core"
	loadPerJob     quantity = "load generator CPU a job, µs"

	// Of a crowd.
	managerMemory   quantity = "memory of the manager (PSS), MiB"
	registeredAfter quantity = "start of the manager to all workers registered, ms"
	successorAfter  quantity = "kill -9 of a worker to its successor registered, ms"

	// Of operation, beside those of a crowd.
	stoppedAfter   quantity = "SIGTERM to the end of all processes, ms"
	managerWakeups quantity = "wakeups of the idle manager a second"
)

// Of reload. Those of a deployment are made by deployment.quantity.
const (
	resizedAfter    quantity = "a config with more workers to the last of them registered, ms"
	statusCommand   quantity = "gearman-manager status, ms"
	workersCommand  quantity = "gearman-manager workers, ms"
	statusCall      quantity = "/v1/status, ms"
	statusCall99    quantity = "/v1/status, p99 of 100 calls, ms"
	watchingWakeups quantity = "wakeups a second of the idle manager that watches programs"
	blindWakeups    quantity = "wakeups a second of the idle manager that does not watch programs"
	watchingTime    quantity = "CPU of the idle manager that watches programs, ms a minute"
	blindTime       quantity = "CPU of the idle manager that does not watch programs, ms a minute"
)

// jobsUnder is jobs a second of a function under a limit of jobs a worker.
func jobsUnder(function string, maxRuns int) quantity {
	return quantity(fmt.Sprintf("jobs/s of %s, max_runs_per_worker = %d", function, maxRuns))
}

// key tells under which conditions a figure was taken. inFlight is 0 for
// what is measured at rest.
type key struct {
	contender string
	quantity  quantity
	workers   int
	inFlight  int
}

// results collects the figures of all runs.
type results map[key]sample

func (r results) add(k key, figure float64) { r[k] = append(r[k], figure) }

// record is how a figure is written as JSON.
type record struct {
	Contender string    `json:"contender"`
	Quantity  quantity  `json:"quantity"`
	Workers   int       `json:"workers"`
	InFlight  int       `json:"in_flight,omitempty"`
	Median    float64   `json:"median"`
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Runs      []float64 `json:"runs"`
}

// writeJSON writes all figures as a JSON array, in a fixed order.
func (r results) writeJSON(w io.Writer) error {
	records := []record{}
	for k, s := range r {
		smallest, largest := s.spread()
		records = append(records, record{
			Contender: k.contender, Quantity: k.quantity, Workers: k.workers, InFlight: k.inFlight,
			Median: s.median(), Min: smallest, Max: largest, Runs: s,
		})
	}
	slices.SortFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.Contender, b.Contender), cmp.Compare(a.Quantity, b.Quantity),
			cmp.Compare(a.Workers, b.Workers), cmp.Compare(a.InFlight, b.InFlight))
	})
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	if err := out.Encode(records); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

// largest is the largest median of a quantity at full load, NaN if it was never
// measured.
func (r results) largest(q quantity) float64 {
	most := math.NaN()
	for k, s := range r {
		if k.quantity != q || k.inFlight != fullInFlight {
			continue
		}
		if m := s.median(); math.IsNaN(most) || m > most {
			most = m
		}
	}
	return most
}
