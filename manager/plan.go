package manager

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/supervisor"
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
	// Named is the path that the program goes by, see [Program]; empty where Program is.
	Named string
	// Interpreter is what runs PHP files, with its arguments, as the config has it; nil for other kinds.
	Interpreter []string
	// Preload is set where worker files are loaded before PHP workers are forked.
	Preload bool
	// Version is what a plugin says of itself.
	Version string
	// Run is the path of what is executed instead of Program, the private copy of a plugin; empty where Program itself is.
	Run string
	// Hash is that of the [Program]; of a pool of several programs one hash over all of theirs. Two workers of a pool with the same hash run
	// the same code.
	Hash string
	// Fault says why programs are not run as the disk holds them, see [Program]; empty otherwise.
	Fault string
	// Functions are in order of registration: highest priority first, then by name. Only where GearmanManager would start shared workers
	// that perform nothing is it empty; Workers is 0 then.
	Functions []FunctionPlan
	// Slots is how many workers job servers see. It is 0 where operators want none for now; Workers is 0 then, and Concurrency 1.
	Slots int
	// Together is the slots of one worker that the config asks for, 0 for all of an executables' pool. Concurrency is never more than Slots.
	Together int
	// Concurrency is the slots of one worker. The last worker has fewer where they do not divide Slots.
	Concurrency int
	// ReloadBatch is how many workers are replaced at a time when code is reloaded, at least 1.
	ReloadBatch int
	// Workers is the number of processes.
	Workers int
	// MaxRuns is the jobs after which a worker retires, MaxLifetime the age, RestartSplay the most by which it is longer at random. 0 is off.
	MaxRuns      int
	MaxLifetime  time.Duration
	RestartSplay time.Duration
	// MaxMemory is the bytes at which a worker retires after its job, MaxMemoryHard those at which it is killed. 0 is off.
	MaxMemory     int64
	MaxMemoryHard int64
	// StartSeconds is how long a worker has to live, unless it gets a job before, for its start to count as a success; a standalone one is
	// ready after it. StartRetries is how many failed starts in a row are followed by another try, 0 for no limit.
	StartSeconds time.Duration //nolint:staticcheck // named like its key, which is in seconds
	StartRetries int
	// Limits are what the kernel holds the workers to.
	Limits supervisor.Limits
	// KeepGroup spares what a worker has started when it ends or is killed.
	KeepGroup bool
	// StopSignal tells a standalone worker to leave.
	StopSignal syscall.Signal
	// Origin says for people which values of the config the number of slots comes from, or that it was scaled by hand.
	Origin string
	// Scaled is set where operators have set the number of slots.
	Scaled bool
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
	// Slow is how long a job may take before it is logged as slow, 0 for never.
	Slow time.Duration
	// Hash is that of the [Program] that performs it.
	Hash string
}

// NewPlan counts the slots of each function and puts them into pools. It is a pure function of its arguments. Each problem concerns one
// function or section: a function with an error, or of a broken program, is left out of the plan.
func NewPlan(cfg *config.Config, programs []Program) (*Plan, []config.Problem) {
	p := &planner{cfg: cfg}
	for _, program := range programs {
		p.program(program)
	}
	p.shareOut()
	p.checkSections()
	p.checkInclude()
	if len(p.performed) == 0 && len(p.broken) == 0 {
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
	// broken holds the functions of programs that cannot be run, which was noted when they were found.
	broken   []string
	problems []config.Problem
}

// share is a program as shared pools see it, with the functions that are not dedicated_only.
type share struct {
	program   Program // the first of them
	functions []FunctionPlan
	programs  map[string]Program // by function
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
	if program.Broken {
		p.broken = append(p.broken, program.Functions...)
		return
	}
	shared := p.shareOf(program)
	for _, name := range program.Functions {
		if !p.cfg.Included(name) {
			continue
		}
		f := p.cfg.Function(name)
		p.performed = append(p.performed, name)
		p.checkMode(f, program)
		p.checkKind(f, program.Kind)
		numbers, ok := p.count(f, program.Kind)
		if !ok {
			continue
		}
		plan := p.function(f, program)
		if shared != nil && !f.DedicatedOnly() {
			shared.functions = append(shared.functions, plan)
			shared.programs[name] = program
		}
		if numbers.dedicated > 0 {
			p.pools = append(p.pools, p.dedicated(f, program, plan, numbers))
		} else {
			p.checkSharedOnly(f, program.Kind)
		}
	}
}
