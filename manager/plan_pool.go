package manager

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/config"
)

// shareOf returns the share that the program belongs to, nil for a standalone program: all PHP files have one, all executables have
// one, each plugin has its own.
func (p *planner) shareOf(program Program) *share {
	if program.Kind == KindStandalone {
		return nil
	}
	for _, s := range p.shares {
		if s.program.Kind == program.Kind && (program.Kind != KindPlugin || s.program.Path == program.Path) {
			return s
		}
	}
	s := &share{program: program, programs: map[string]Program{}}
	p.shares = append(p.shares, s)
	return s
}

// function plans the jobs of one function.
func (p *planner) function(f config.Function, program Program) FunctionPlan {
	plan := FunctionPlan{
		Name: f.Name(), Program: program.Path, Command: slices.Clone(program.Command), Pear: program.Pear,
		Timeout: f.Timeout(), Grace: f.Grace(), OnTimeout: f.OnTimeout(), OnCrash: f.OnCrash(),
		JobAttempts: f.JobAttempts(), Priority: f.Priority(), Slow: f.Slow(), Hash: program.Hash,
	}
	if program.Kind == KindPHP {
		plan.Symbol = p.cfg.Prefix() + f.Name()
	}
	if program.Kind == KindStandalone {
		plan.Timeout, plan.JobAttempts, plan.Slow = 0, 0, 0 // nobody could hold it to them
	}
	return plan
}

// dedicated makes the pool of one function.
func (p *planner) dedicated(f config.Function, program Program, plan FunctionPlan, numbers counts) PoolPlan {
	pool := PoolPlan{
		Name: f.Name(), Kind: program.Kind, Functions: []FunctionPlan{plan}, Slots: numbers.dedicated, Origin: numbers.origin,
	}
	pool.runs(program)
	p.interpreter(&pool)
	p.divide(&pool, f)
	p.limit(&pool, f)
	return pool
}

// runs has the pool run one program.
func (p *PoolPlan) runs(program Program) {
	p.Program, p.Named, p.Version = program.Path, program.Named, program.Version
	p.Run, p.Hash, p.Fault = program.Run, program.Hash, program.Fault
}

// interpreter sets what runs the files of a PHP pool.
func (p *planner) interpreter(pool *PoolPlan) {
	if pool.Kind == KindPHP {
		pool.Interpreter = append([]string{p.cfg.PHP()}, p.cfg.PHPArgs()...)
		pool.Preload = p.cfg.PHPPreload()
	}
}

// divide divides the slots of a pool among workers.
func (p *planner) divide(pool *PoolPlan, f config.Function) {
	pool.ReloadBatch = f.ReloadBatch()
	switch pool.Kind {
	case KindPlugin, KindExec:
		pool.Together = f.Concurrency()
	case KindPHP:
		pool.Together = 1
		if !pool.Shared {
			p.checkOneSlot(f, pool.Kind)
		}
	case KindStandalone:
		pool.Together = 1
	}
	pool.divide()
}

// divide finds how many workers have the slots. A pool without functions has none.
func (p *PoolPlan) divide() {
	p.Concurrency, p.Workers = 1, 0
	switch {
	case p.Together > 0:
		p.Concurrency = max(1, min(p.Together, p.Slots))
	case p.Kind == KindExec:
		p.Concurrency = max(1, p.Slots)
	}
	if len(p.Functions) > 0 {
		p.Workers = (p.Slots + p.Concurrency - 1) / p.Concurrency
	}
}

// shareOut makes the shared pools.
func (p *planner) shareOut() {
	slots := p.cfg.Count()
	if slots == 0 || len(p.shares) == 0 {
		return
	}
	busy := slices.DeleteFunc(slices.Clone(p.shares), func(s *share) bool { return len(s.functions) == 0 })
	if len(busy) == 0 {
		p.note(config.Warning, p.cfg.Origin(config.GlobalSection, "count"), "the shared pool performs nothing and is not started, since every function is dedicated_only, want count = 0 or a function for it")
		busy = p.shares[:1]
	}
	for _, s := range busy {
		p.pools = append(p.pools, p.sharedPool(s, slots, len(busy) == 1))
	}
}

// sharedPool makes one shared pool; alone is true when it is the only one.
func (p *planner) sharedPool(s *share, slots int, alone bool) PoolPlan {
	slices.SortFunc(s.functions, compareFunctions)
	pool := PoolPlan{
		Name: p.sharedName(s, alone), Shared: true, Kind: s.program.Kind, Functions: s.functions, Slots: slots,
		Origin: origin(p.cfg.Origin(config.GlobalSection, "count")),
	}
	switch {
	case pool.Kind == KindPlugin:
		pool.runs(s.program)
	case len(s.functions) == 1:
		pool.runs(s.programs[s.functions[0].Name])
	default:
		pool.runsAll(s)
	}
	p.interpreter(&pool)
	p.divide(&pool, p.cfg.Defaults())
	p.limit(&pool, p.cfg.Defaults())
	return pool
}

// runsAll has a shared pool run several programs.
func (p *PoolPlan) runsAll(s *share) {
	var hashes, faults []string
	known := false
	for _, f := range p.Functions {
		program := s.programs[f.Name]
		hashes = append(hashes, f.Name, program.Hash)
		known = known || program.Hash != ""
		if program.Fault != "" {
			faults = append(faults, program.Fault)
		}
	}
	p.Fault = strings.Join(faults, "; ")
	if known {
		p.Hash = hashOf(hashes)
	}
}

// sharedName returns a name that no other pool has.
func (p *planner) sharedName(s *share, alone bool) string {
	if alone {
		return "*"
	}
	base := "*" + string(s.program.Kind)
	if s.program.Kind == KindPlugin {
		base = "*" + filepath.Base(s.program.Path)
	}
	taken := func(name string) bool {
		reserved := s.program.Kind == KindPlugin && (name == "*php" || name == "*exec")
		return reserved || slices.ContainsFunc(p.pools, func(pool PoolPlan) bool { return pool.Name == name })
	}
	name := base
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// compareFunctions orders functions by registration: job servers serve the first registered first.
func compareFunctions(a, b FunctionPlan) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Name, b.Name))
}

// comparePools puts shared pools first, then goes by name.
func comparePools(a, b PoolPlan) int {
	if a.Shared != b.Shared {
		if a.Shared {
			return -1
		}
		return 1
	}
	return strings.Compare(a.Name, b.Name)
}
