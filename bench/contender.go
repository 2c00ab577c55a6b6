package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// table is one of those that are printed.
type table int

// All tables, in the order in which they are printed.
const (
	speedTable     table = iota
	crowdTable           // what many workers of a large worker file need
	operationTable       // what it takes to start, to replace and to stop workers
	reloadTable          // what it takes to change a fleet that runs
)

// tables are the names of the tables, in the same order.
func tables() []string { return []string{"speed", "crowd", "operation", "reload"} }

// plan is the workers that are wanted.
type plan struct {
	function string // the one they perform, where the contender can do several
	workers  int
	// maxRuns is the number of jobs after which a worker is replaced by another,
	// for contenders of the operation table; 0 is no limit.
	maxRuns int
}

// commander gives the programs to start for a plan.
type commander func(w *workshop, s *jobServer, p plan) ([][]string, error)

// contender is a kind of worker: a row of a table, or a column of that of operation.
type contender struct {
	id, name string
	job      job
	// managed tells that commands starts a manager, whose children are the
	// workers.
	managed bool
	// deaf tells that the program does not end when it is asked to, but has to
	// be killed.
	deaf bool
	// restarted tells that a change takes to stop the program and to start it anew.
	restarted bool
	// file is the name of the program in the worker directory, of a contender of the
	// reload table.
	file string
	// table is the one that the contender is in.
	table table
	// against are the contenders that this one is compared with.
	against []rival
	// limits are what the figures of a crowd are wanted to be at most.
	limits []limit
	// build makes what commands needs, and says with a missingError what is
	// not installed.
	build func(ctx context.Context, w *workshop) error
	// commands are the programs to start for a plan.
	commands commander
}

// rival names a contender and what the ratio over it is wanted to be, with few
// and with some workers.
type rival struct {
	id, name string
	wanted   [2]float64
}

// limit is what a quantity is wanted to be at most.
type limit struct {
	quantity quantity
	most     float64
}

// contenders lists the rows of the table.
func contenders() []contender {
	return []contender{
		{
			id: "plugin", name: "Go plugin", job: reverseJob(), managed: true,
			against:  []rival{{"php", "PHP loop", [...]float64{1.3, 1.3}}, {"c", "C", [...]float64{0.95, 0.95}}},
			build:    buildPlugin,
			commands: managerCommand("plugin", "include = reverse\n", "[reverse]\n"),
		},
		{
			id: "exec", name: "exec worker, wc -l", job: countJob(), managed: true,
			against:  []rival{{"gearman", "gearman -w", [...]float64{1, 1}}},
			build:    buildManager,
			commands: managerCommand("exec", "", "[wc]\ncommand = wc -l\n"),
		},
		{
			id: "phpworker", name: "PHP worker under gearman-manager", job: reverseJob(), managed: true,
			against:  []rival{{"php", "PHP loop", phpWanted()}, {"phpchild", "GearmanManager's child", phpWanted()}},
			build:    buildPHPWorker("phpworker", reversePHP),
			commands: managerCommand("phpworker", "", "[reverse]\n"),
		},
		{
			id: "php", name: "PHP loop, pecl/gearman", job: reverseJob(),
			build:    buildPHPLoop,
			commands: each(func(w *workshop) []string { return []string{"php", w.path("loop.php")} }),
		},
		{
			id: "phpchild", name: "GearmanManager's child, pecl", job: reverseJob(),
			deaf:  true, // idle, it sits in libgearman's wait, which goes on after a signal
			build: buildPHPChild,
			commands: func(w *workshop, s *jobServer, p plan) ([][]string, error) {
				argv := []string{"php", w.path("gearmanmanager/child.php"), s.host, strconv.Itoa(s.port), w.path("gearmanmanager/reverse.php")}
				return repeat(argv, p.workers), nil
			},
		},
		{
			id: "c", name: "C, libgearman", job: reverseJob(),
			build:    buildC,
			commands: each(func(w *workshop) []string { return []string{w.path("reverse-c")} }),
		},
		{
			id: "gearman", name: "gearman -w, wc -l", job: countJob(),
			build: func(context.Context, *workshop) error { return need("gearman", "gearman-tools") },
			commands: func(_ *workshop, s *jobServer, p plan) ([][]string, error) {
				argv := []string{"gearman", "-h", s.host, "-p", strconv.Itoa(s.port), "-w", "-f", "wc", "--", "wc", "-l"}
				return repeat(argv, p.workers), nil
			},
		},
		crowd("crowd", "forked", "", []limit{
			{memory, 70e6 / (1 << 20)}, {registeredAfter, 500}, {successorAfter, 20},
		}),
		crowd("crowd-preload", "forked, php_preload = 1", "php_preload = 1\n", nil),
		crowd("crowd-apart", "one php each (no pcntl)", "php_args = -d disable_functions=pcntl_fork\n", nil),
		{
			id: "op-plugin", name: "Go plugin", job: reverseJob(), managed: true, table: operationTable,
			build:    buildOperationPlugin,
			commands: managerOf("op-plugin"),
		},
		{
			id: "op-php", name: "PHP worker", job: reverseJob(), managed: true, table: operationTable,
			build:    buildOperationPHP("op-php"),
			commands: managerOf("op-php"),
		},
		{
			id: "op-fork", name: "PHP loop, fork manager", job: reverseJob(), managed: true, table: operationTable,
			build:    buildForkManager("op-fork"),
			commands: forkCommand("op-fork"),
		},
		{
			id: "re-plugin", name: "Go plugin", job: editionJob(), managed: true, table: reloadTable, file: "edition",
			build:    buildEditions("re-plugin", writePluginEdition),
			commands: managerCommand("re-plugin", "auto_update = 1\n", "[edition]\n"),
		},
		{
			id: "re-php", name: "PHP worker", job: editionJob(), managed: true, table: reloadTable, file: "edition.php",
			build:    buildPHPEditions("re-php"),
			commands: managerCommand("re-php", "auto_update = 1\n", "[edition]\n"),
		},
		{
			id: "re-fork", name: "PHP loop, fork manager", job: editionJob(), managed: true, table: reloadTable, file: "edition.php",
			restarted: true,
			build:     buildForkEditions("re-fork"),
			commands:  forkCommand("re-fork"),
		},
	}
}

// phpWanted is how many times as many jobs our PHP worker is wanted to do as
// one on pecl/gearman.
func phpWanted() [2]float64 { return [...]float64{1.15, 1.4} }

// crowd makes a contender that has many workers of a large worker file; global
// is a line for the config's first section.
func crowd(id, name, global string, limits []limit) contender {
	return contender{
		id: id, name: name, job: reverseJob(), managed: true, table: crowdTable,
		limits:   limits,
		build:    buildPHPWorker(id, largeFile(reversePHP, servicePHP, largeLines)),
		commands: managerCommand(id, global, "[reverse]\n"),
	}
}

// each makes the commands of a program that is one worker and takes host and
// port as its arguments.
func each(program func(w *workshop) []string) commander {
	return func(w *workshop, s *jobServer, p plan) ([][]string, error) {
		return repeat(append(program(w), s.host, strconv.Itoa(s.port)), p.workers), nil
	}
}

func repeat(argv []string, n int) [][]string {
	all := make([][]string, n)
	for i := range all {
		all[i] = argv
	}
	return all
}

// managerCommand writes a config for gearman-manager and starts it with that.
// The worker directory has the contender's name; global and function are lines
// for the two sections.
func managerCommand(name, global, function string) commander {
	return func(w *workshop, s *jobServer, p plan) ([][]string, error) {
		dir := w.path(name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make worker directory: %w", err)
		}
		home, err := w.home()
		if err != nil {
			return nil, err
		}
		file := filepath.Join(home, "manager.ini")
		if err := os.WriteFile(file, []byte(managerConfig(s.address(), dir, home, global, function, p)), 0o600); err != nil {
			return nil, fmt.Errorf("write config: %w", err)
		}
		return [][]string{{w.path("gearman-manager"), "-c", file}}, nil
	}
}

// managerOf is managerCommand for the function of the plan and no other.
func managerOf(name string) commander {
	return func(w *workshop, s *jobServer, p plan) ([][]string, error) {
		return managerCommand(name, "include = "+p.function+"\n", "["+p.function+"]\n")(w, s, p)
	}
}

// managerConfig is a config for one function with exactly this many workers,
// which are replaced by nothing but the number of their jobs. The manager keeps
// its own files in home.
func managerConfig(server, dir, home, global, function string, p plan) string {
	return fmt.Sprintf("[GearmanManager]\nhost = %s\nworker_dir = %s\nruntime_dir = %s\nstate_dir = %s\n"+
		"max_worker_lifetime = 0\nmax_runs_per_worker = %d\n%s\n%sdedicated_only = 1\ndedicated_count = %d\n",
		server, dir, filepath.Join(home, "run"), filepath.Join(home, "state"), p.maxRuns, global, function, p.workers)
}

// forkCommand starts the PHP program that forks PHP loops, for worker files in the
// directory of this name.
func forkCommand(name string) commander {
	return func(w *workshop, s *jobServer, p plan) ([][]string, error) {
		return [][]string{{
			"php", w.path("fork.php"), s.host, strconv.Itoa(s.port), w.path(name + "/" + p.function + ".php"),
			strconv.Itoa(p.workers), strconv.Itoa(p.maxRuns),
		}}, nil
	}
}
