package manager

import (
	"maps"
	"slices"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// edition is what workers of a pool are started from: code, and what else holds for the
// whole life of a process. A pool has one, and for a while another that its workers are
// to be replaced by. Those who start workers read it while the loop gives it another assignment.
type edition struct {
	program program
	start   starter
	// memory is how many bytes of memory a process has of its own; 0 if that is not
	// known.
	memory func(pid int) int64
	// close gives up what new workers would be started from. Those that run live on.
	close func()
	// why says for people what made its workers differ from those before.
	why []string
	// servers and maxData are those of the time when it was made, for what cannot be told
	// of others.
	servers []string
	maxData int64

	// These belong to the loop.
	assigned *assignment
	proven   bool // some worker has shown that it can be run
}

// assignment is what workers of an edition are told, at their start or later. It never
// changes: the loop replaces it as a whole.
type assignment struct {
	plan      *PoolPlan
	numbers   map[string]int // of functions in job records
	servers   []jobServer
	verbosity int
	maxData   int64
	paused    []string // functions, sorted
}

// jobServer is a job server and its number in job records.
type jobServer struct {
	address string
	number  int
}

// with returns settings for a plan. What an edition has of its own stays: which
// functions its workers perform, and where their code is.
func (s *assignment) with(next *PoolPlan, numbers map[string]int) *assignment {
	changed := *s
	changed.plan, changed.numbers = s.plan.overlaid(next), numbers
	return &changed
}

// overlaid returns the plan with what can be told to a running worker, or is the
// manager's business alone, as another has it.
func (p *PoolPlan) overlaid(next *PoolPlan) *PoolPlan {
	out := *next
	if p.Kind == KindExec { // which performs whatever it is told, from where it is
		out.KeepGroup, out.Limits = p.KeepGroup, p.Limits
		return &out
	}
	out.Program, out.Run, out.Version, out.Hash = p.Program, p.Run, p.Version, p.Hash
	out.Limits, out.KeepGroup, out.Interpreter, out.Preload = p.Limits, p.KeepGroup, p.Interpreter, p.Preload
	out.Functions = slices.Clone(p.Functions)
	for i := range out.Functions {
		f := &out.Functions[i]
		at := slices.IndexFunc(next.Functions, func(other FunctionPlan) bool { return other.Name == f.Name })
		if at < 0 {
			continue
		}
		changed := next.Functions[at]
		changed.Program, changed.Command, changed.Symbol, changed.Pear, changed.Hash = f.Program, f.Command, f.Symbol, f.Pear, f.Hash
		*f = changed
	}
	slices.SortStableFunc(out.Functions, compareFunctions)
	return &out
}

// number gives each function of a plan a number that none had before while the pool
// lives.
func number(numbers map[string]int, plan *PoolPlan) map[string]int {
	next := map[string]int{}
	maps.Copy(next, numbers)
	for _, f := range plan.Functions {
		if _, known := next[f.Name]; !known {
			next[f.Name] = len(next)
		}
	}
	return next
}

// pausedOf are those functions of the settings that are paused.
func (s *assignment) pausedOf() []string {
	var paused []string
	for _, f := range s.plan.Functions {
		if slices.Contains(s.paused, f.Name) {
			paused = append(paused, f.Name)
		}
	}
	return paused
}

// addresses of the job servers.
func addresses(servers []jobServer) []string {
	var out []string
	for _, s := range servers {
		out = append(out, s.address)
	}
	return out
}

// serverList puts servers into the words of the contract.
func serverList(servers []jobServer) []*workerpb.Server {
	var out []*workerpb.Server
	for _, s := range servers {
		out = append(out, &workerpb.Server{Address: s.address, Index: clamp32(s.number)})
	}
	return out
}
