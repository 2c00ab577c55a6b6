package manager

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func numbers(events []Stamped) []uint64 {
	out := []uint64{}
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}

// TestRing: whatever is pushed and popped in which order, a ring does what a slice
// does that is cut to its size.
func TestRing(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for most := 1; most < 40; most += 1 + most/4 {
		r, model, next := ring{most: most}, []uint64{}, uint64(0)
		for range 2000 {
			switch action := random.IntN(10); {
			case action == 0 && random.IntN(20) == 0:
				r.clear()
				model = model[:0]
			case action < 4:
				e, ok := r.pop()
				if ok != (len(model) > 0) || ok && e.Seq != model[0] {
					t.Fatalf("most %d: popped %v %v, want the first of %v", most, e.Seq, ok, model)
				}
				model = model[min(1, len(model)):]
			default:
				next++
				old, out := r.push(Stamped{Seq: next})
				if out != (len(model) == most) || out && old.Seq != model[0] {
					t.Fatalf("most %d: pushed %v %v out of %v", most, old.Seq, out, model)
				}
				model = append(model, next)
				model = model[max(0, len(model)-most):]
			}
			if got := numbers(r.after(0)); !slices.Equal(got, model) {
				t.Fatalf("most %d: has %v, want %v", most, got, model)
			}
			if len(r.items) > most {
				t.Fatalf("takes %d items for %d", len(r.items), most)
			}
		}
	}
}

func TestRingAfter(t *testing.T) {
	t.Parallel()
	r := ring{most: 3}
	for _, seq := range []uint64{2, 4, 5, 9} {
		r.push(Stamped{Seq: seq})
	}
	for after, want := range map[uint64][]uint64{0: {4, 5, 9}, 3: {4, 5, 9}, 4: {5, 9}, 6: {9}, 9: {}, 10: {}} {
		if got := numbers(r.after(after)); !slices.Equal(got, want) {
			t.Errorf("after %d: %v, want %v", after, got, want)
		}
	}
}
