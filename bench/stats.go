package main

import (
	"math"
	"slices"
)

// sample holds one figure of each run.
type sample []float64

// median is the middle figure, or the mean of the two in the middle; NaN if
// there is none.
func (s sample) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// spread gives the smallest and the largest figure; NaN if there is none.
func (s sample) spread() (smallest, largest float64) {
	if len(s) == 0 {
		return math.NaN(), math.NaN()
	}
	return slices.Min(s), slices.Max(s)
}

// over divides run by run, up to the shorter of the two.
func (s sample) over(base sample) sample {
	n := min(len(s), len(base))
	ratios := make(sample, 0, n)
	for i := range n {
		ratios = append(ratios, s[i]/base[i])
	}
	return ratios
}
