package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// contender is a kind of worker: a row of the table.
type contender struct {
	id, name string
	job      job
	// managed tells that commands starts a manager, whose children are the
	// workers.
	managed bool
	// deaf tells that the program does not end when it is asked to, but has to
	// be killed.
	deaf bool
	// crowd tells that what is measured is not speed but what many workers of
	// a large worker file need; the contender is no row of the first table.
	crowd bool
	// against are the contenders that this one is compared with.
	against []rival
	// limits are what the figures of a crowd are wanted to be at most.
	limits []limit
	// build makes what commands needs, and says with a missingError what is
	// not installed.
	build func(ctx context.Context, w *workshop) error
	// commands are the programs to start for a number of workers.
	commands func(w *workshop, s *jobServer, workers int) ([][]string, error)
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
			commands: func(w *workshop, s *jobServer, workers int) ([][]string, error) {
				argv := []string{"php", w.path("gearmanmanager/child.php"), s.host, strconv.Itoa(s.port), w.path("gearmanmanager/reverse.php")}
				return repeat(argv, workers), nil
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
			commands: func(_ *workshop, s *jobServer, workers int) ([][]string, error) {
				argv := []string{"gearman", "-h", s.host, "-p", strconv.Itoa(s.port), "-w", "-f", "wc", "--", "wc", "-l"}
				return repeat(argv, workers), nil
			},
		},
		crowd("crowd", "forked", "", []limit{
			{memory, 70e6 / (1 << 20)}, {registeredAfter, 500}, {successorAfter, 20},
		}),
		crowd("crowd-preload", "forked, php_preload = 1", "php_preload = 1\n", nil),
		crowd("crowd-apart", "one php each (no pcntl)", "php_args = -d disable_functions=pcntl_fork\n", nil),
	}
}

// phpWanted is how many times as many jobs our PHP worker is wanted to do as
// one on pecl/gearman.
func phpWanted() [2]float64 { return [...]float64{1.15, 1.4} }

// crowd makes a contender that has many workers of a large worker file; global
// is a line for the config's first section.
func crowd(id, name, global string, limits []limit) contender {
	return contender{
		id: id, name: name, job: reverseJob(), managed: true, crowd: true,
		limits:   limits,
		build:    buildPHPWorker(id, largeFile(reversePHP, servicePHP, largeLines)),
		commands: managerCommand(id, global, "[reverse]\n"),
	}
}

// each makes the commands of a program that is one worker and takes host and
// port as its arguments.
func each(program func(w *workshop) []string) func(*workshop, *jobServer, int) ([][]string, error) {
	return func(w *workshop, s *jobServer, workers int) ([][]string, error) {
		return repeat(append(program(w), s.host, strconv.Itoa(s.port)), workers), nil
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
func managerCommand(name, global, function string) func(*workshop, *jobServer, int) ([][]string, error) {
	return func(w *workshop, s *jobServer, workers int) ([][]string, error) {
		dir := w.path(name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make worker directory: %w", err)
		}
		config := managerConfig(s.address(), dir, global, function, workers)
		file := w.path(name + ".ini")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return nil, fmt.Errorf("write config: %w", err)
		}
		return [][]string{{w.path("gearman-manager"), "-c", file}}, nil
	}
}

// managerConfig is a config for one function with exactly this many workers,
// which are never replaced.
func managerConfig(server, dir, global, function string, workers int) string {
	return fmt.Sprintf("[GearmanManager]\nhost = %s\nworker_dir = %s\nmax_worker_lifetime = 0\n%s\n%sdedicated_only = 1\ndedicated_count = %d\n",
		server, dir, global, function, workers)
}
