package main

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMedianAndSpread(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in                        sample
		median, smallest, largest float64
	}{
		"none":       {nil, math.NaN(), math.NaN(), math.NaN()},
		"one":        {sample{7}, 7, 7, 7},
		"odd":        {sample{30, 10, 20}, 20, 10, 30},
		"even":       {sample{4, 1, 3, 2}, 2.5, 1, 4},
		"an outlier": {sample{10, 11, 1000, 12, 9}, 11, 9, 1000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := append(sample(nil), tt.in...)
			smallest, largest := tt.in.spread()
			got := []float64{tt.in.median(), smallest, largest}
			want := []float64{tt.median, tt.smallest, tt.largest}
			if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("median, smallest, largest (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.in); diff != "" {
				t.Errorf("the order of the runs was changed:\n%s", diff)
			}
		})
	}
}

// Ratios are taken within a run: a machine that is slow for one run changes
// none of them.
func TestOver(t *testing.T) {
	t.Parallel()
	mine, theirs := sample{100, 50, 120}, sample{50, 25, 60, 1}
	if diff := cmp.Diff(sample{2, 2, 2}, mine.over(theirs)); diff != "" {
		t.Errorf("ratios (-want +got):\n%s", diff)
	}
	if got := mine.over(nil); len(got) != 0 {
		t.Errorf("ratios over nothing: %v", got)
	}
}
