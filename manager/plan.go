package manager

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
)

// Plan is what the fleet should be. It is a value of its own: nothing in it is shared with the config.
type Plan struct {
	// Pools holds the shared pools first, then the dedicated ones by name.
	Pools []PoolPlan
}

// PoolPlan is one pool: workers that are alike.
type PoolPlan struct {
	// Name is unique in the plan: the function of a dedicated pool, or "*", "*php", "*exec" or "*" with a plugin's file name. It may hold
	// any character that a function's name may, a slash too.
	Name   string
	Shared bool
	Kind   Kind
	// Program is the path of the program; empty for a shared pool of several files, where each function has its own.
	Program string
	// Version is what a plugin says of itself.
	Version string
	// Functions are in order of registration: highest priority first, then by name. Only where GearmanManager would start shared workers
	// that perform nothing is it empty; Workers is 0 then.
	Functions []FunctionPlan
	// Slots is how many workers job servers see.
	Slots int
	// Concurrency is the slots of one worker. The last worker has fewer where they do not divide Slots.
	Concurrency int
	// Workers is the number of processes.
	Workers int
	// MaxRuns is the jobs after which a worker retires, MaxLifetime the age, RestartSplay the most by which it is longer at random. 0 is off.
	MaxRuns      int
	MaxLifetime  time.Duration
	RestartSplay time.Duration
	// Origin says for people which values of the config the number of slots comes from.
	Origin string
}

// FunctionPlan is what holds for the jobs of one function in a pool.
type FunctionPlan struct {
	Name string
	// Program is the path of the file that performs it.
	Program string
	// Command is the argument vector of an executable or standalone program; Command[0] is Program.
	Command []string
	// Symbol is the name of the PHP function or class: the prefix and the function's name. Empty for other kinds.
	Symbol string
	// Pear is set for a PHP class in the style of PEAR's Net_Gearman.
	Pear bool
	// Timeout is how long a job may take, 0 for no limit; Grace how long it may go on when its worker has to leave.
	Timeout time.Duration
	Grace   time.Duration
	// OnTimeout and OnCrash are [config.Fail] or [config.Reissue].
	OnTimeout string
	OnCrash   string
	// JobAttempts is how often a job is tried, 0 for no limit.
	JobAttempts int
	// Priority is -5 to 5.
	Priority int
}

// NewPlan counts the slots of each function and puts them into pools. It is a pure function of its arguments. Each problem concerns one
// function or section: a function with an error is left out of the plan.
func NewPlan(cfg *config.Config, programs []Program) (*Plan, []config.Problem) {
	p := &planner{cfg: cfg}
	for _, program := range programs {
		p.program(program)
	}
	p.shareOut()
	p.checkSections()
	p.checkInclude()
	if len(p.performed) == 0 {
		p.note(config.Error, cfg.Origin(config.GlobalSection, "worker_dir"), "no function can be performed, want at least one worker in worker_dir or a command")
	}
	slices.SortFunc(p.pools, comparePools)
	return &Plan{Pools: p.pools}, p.problems
}

// planner is the state of one planning.
type planner struct {
	cfg *config.Config
	// shares holds what each shared pool may perform, in the order in which the programs were found.
	shares    []*share
	pools     []PoolPlan
	performed []string
	problems  []config.Problem
}

// share is a program as shared pools see it, with the functions that are not dedicated_only.
type share struct {
	program   Program
	functions []FunctionPlan
}

// note adds a problem at a value of the config.
func (p *planner) note(severity config.Severity, origin config.Origin, format string, args ...any) {
	file := origin.File
	if file == "" && origin.Flag == "" {
		file = p.cfg.File()
	}
	p.problems = append(p.problems, config.Problem{
		File: file, Line: origin.Line, Section: origin.Section, Key: origin.Key, Flag: origin.Flag,
		Severity: severity, Message: fmt.Sprintf(format, args...),
	})
}

// program plans the functions of one program.
func (p *planner) program(program Program) {
	shared := p.shareOf(program)
	for _, name := range program.Functions {
		if !p.cfg.Included(name) {
			continue
		}
		f := p.cfg.Function(name)
		p.performed = append(p.performed, name)
		p.checkMode(f, program)
		numbers, ok := p.count(f, program.Kind)
		if !ok {
			continue
		}
		plan := p.function(f, program)
		if shared != nil && !f.DedicatedOnly() {
			shared.functions = append(shared.functions, plan)
		}
		if numbers.dedicated > 0 {
			p.pools = append(p.pools, p.dedicated(f, program, plan, numbers))
		} else {
			p.checkSharedOnly(f)
		}
	}
}

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
	s := &share{program: program}
	p.shares = append(p.shares, s)
	return s
}

// function plans the jobs of one function.
func (p *planner) function(f config.Function, program Program) FunctionPlan {
	plan := FunctionPlan{
		Name: f.Name(), Program: program.Path, Command: slices.Clone(program.Command), Pear: program.Pear,
		Timeout: f.Timeout(), Grace: f.Grace(), OnTimeout: f.OnTimeout(), OnCrash: f.OnCrash(),
		JobAttempts: f.JobAttempts(), Priority: f.Priority(),
	}
	if program.Kind == KindPHP {
		plan.Symbol = p.cfg.Prefix() + f.Name()
	}
	return plan
}

// dedicated makes the pool of one function.
func (p *planner) dedicated(f config.Function, program Program, plan FunctionPlan, numbers counts) PoolPlan {
	pool := PoolPlan{
		Name: f.Name(), Kind: program.Kind, Program: program.Path, Version: program.Version,
		Functions: []FunctionPlan{plan}, Slots: numbers.dedicated, Origin: numbers.origin,
	}
	p.limit(&pool, f)
	return pool
}

// limit sets the limits of a pool and divides its slots among workers.
func (p *planner) limit(pool *PoolPlan, f config.Function) {
	pool.MaxRuns, pool.MaxLifetime, pool.RestartSplay = f.MaxRuns(), f.MaxLifetime(), f.RestartSplay()
	pool.Concurrency = 1
	switch wanted := f.Concurrency(); {
	case pool.Kind == KindPHP || pool.Kind == KindStandalone:
		if f.IsOwn("concurrency") && wanted > 1 && !pool.Shared {
			p.note(config.Warning, f.Origin("concurrency"), "a %s worker performs one job at a time, want concurrency for a plugin or an executable only", pool.Kind)
		}
	case wanted > 0:
		pool.Concurrency = min(wanted, pool.Slots)
	case pool.Kind == KindExec:
		pool.Concurrency = pool.Slots
	}
	pool.Workers = (pool.Slots + pool.Concurrency - 1) / pool.Concurrency
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
	if pool.Kind == KindPlugin || len(s.functions) == 1 {
		pool.Program, pool.Version = s.program.Path, s.program.Version
	}
	if len(s.functions) == 1 {
		pool.Program = s.functions[0].Program
	}
	p.limit(&pool, p.cfg.Defaults())
	if len(s.functions) == 0 {
		pool.Workers = 0
	}
	return pool
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
