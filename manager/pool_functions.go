package manager

import "time"

// functionTable knows the functions of a pool by their numbers in job records, which are
// given once while the pool lives.
type functionTable struct {
	numbers map[string]int // never changed, but replaced
	entries []functionEntry
}

// functionEntry is a function as it is, and as it was before its last change, if it has
// been changed: a job ends under what held when it began.
type functionEntry struct {
	plan    FunctionPlan
	before  FunctionPlan
	changed time.Duration // on the clock of job records
}

// learn takes over the functions of a plan.
func (t *functionTable) learn(plan *PoolPlan, now time.Duration) {
	t.numbers = number(t.numbers, plan)
	for len(t.entries) < len(t.numbers) {
		t.entries = append(t.entries, functionEntry{})
	}
	for _, f := range plan.Functions {
		e := &t.entries[t.numbers[f.Name]]
		if e.plan.Name == "" {
			e.plan, e.before = f, f
			continue
		}
		if e.plan.Timeout != f.Timeout || e.plan.OnTimeout != f.OnTimeout || e.plan.OnCrash != f.OnCrash {
			e.before, e.changed = e.plan, now
		}
		e.plan = f
	}
}

// at returns the function of a number as it was when a job began; ok is false if there
// is none.
func (t *functionTable) at(number int, began time.Duration) (f FunctionPlan, ok bool) {
	if number < 0 || number >= len(t.entries) {
		return f, false
	}
	e := &t.entries[number]
	if began < e.changed {
		return e.before, true
	}
	return e.plan, true
}

// named returns a function by its name.
func (t *functionTable) named(name string) (f FunctionPlan, ok bool) {
	n, ok := t.numbers[name]
	if !ok {
		return f, false
	}
	return t.entries[n].plan, true
}
