package main

import (
	"context"
	_ "embed" // the sources of the workers written in other languages
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed workers/reverse.php
var reversePHP []byte

//go:embed workers/reverse.c
var reverseC []byte

// contender is a kind of worker: a row of the table.
type contender struct {
	id, name string
	job      job
	// managed tells that commands starts a manager, whose children are the
	// workers.
	managed bool
	// against are the contenders that this one is compared with.
	against []rival
	// build makes what commands needs, and says with a missingError what is
	// not installed.
	build func(ctx context.Context, w *workshop) error
	// commands are the programs to start for a number of workers.
	commands func(w *workshop, s *jobServer, workers int) ([][]string, error)
}

// rival names a contender and what the ratio over it is wanted to be.
type rival struct {
	id, name string
	wanted   float64
}

// contenders lists the rows of the table.
func contenders() []contender {
	return []contender{
		{
			id: "plugin", name: "Go plugin", job: reverseJob(), managed: true,
			against:  []rival{{"php", "PHP loop", 1.3}, {"c", "C", 0.95}},
			build:    buildPlugin,
			commands: managerCommand("plugin", "include = reverse\n", "[reverse]\n"),
		},
		{
			id: "exec", name: "exec worker, wc -l", job: countJob(), managed: true,
			against:  []rival{{"gearman", "gearman -w", 1.0}},
			build:    buildManager,
			commands: managerCommand("exec", "", "[wc]\ncommand = wc -l\n"),
		},
		{
			id: "php", name: "PHP loop, pecl/gearman", job: reverseJob(),
			build:    buildPHP,
			commands: each(func(w *workshop) []string { return []string{"php", w.path("reverse.php")} }),
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

// workshop is where contenders are built.
type workshop struct {
	dir    string // temporary, removed at the end
	module string // root of our module
}

func (w *workshop) path(name string) string { return filepath.Join(w.dir, name) }

// run runs a program to its end in the module's root.
func (w *workshop) run(ctx context.Context, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = w.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", strings.Join(argv, " "), err, output)
	}
	return nil
}

func buildManager(ctx context.Context, w *workshop) error {
	if _, err := os.Stat(w.path("gearman-manager")); err == nil {
		return nil // built for another contender
	}
	return w.run(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", w.dir+"/", "./cmd/gearman-manager")
}

func buildPlugin(ctx context.Context, w *workshop) error {
	if err := buildManager(ctx, w); err != nil {
		return err
	}
	return w.run(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", w.path("plugin")+"/", "./examples/reverse")
}

func buildPHP(ctx context.Context, w *workshop) error {
	if err := need("php", "php-cli"); err != nil {
		return err
	}
	if err := w.run(ctx, "php", "-r", "exit((int) !class_exists('GearmanWorker'));"); err != nil {
		return &missingError{"PHP's gearman extension", "php-gearman"}
	}
	return os.WriteFile(w.path("reverse.php"), reversePHP, 0o600)
}

func buildC(ctx context.Context, w *workshop) error {
	if err := need("gcc", "gcc libc6-dev"); err != nil {
		return err
	}
	source, header := w.path("reverse.c"), w.path("header.c")
	if err := errors.Join(
		os.WriteFile(source, reverseC, 0o600),
		os.WriteFile(header, []byte("#include <libgearman/gearman.h>\n"), 0o600),
	); err != nil {
		return fmt.Errorf("write C source: %w", err)
	}
	if err := w.run(ctx, "gcc", "-fsyntax-only", header); err != nil {
		return &missingError{"libgearman's headers", "libgearman-dev"}
	}
	return w.run(ctx, "gcc", "-O2", "-o", w.path("reverse-c"), source, "-lgearman")
}

// need looks for a program.
func need(program, packages string) error {
	if _, err := exec.LookPath(program); err != nil {
		return &missingError{program, packages}
	}
	return nil
}

// missingError is something that a contender needs and that is not installed.
type missingError struct {
	what, packages string
}

func (e *missingError) Error() string {
	return fmt.Sprintf("%s is missing (Debian: apt-get install %s)", e.what, e.packages)
}

// moduleRoot finds the directory of go.mod, from the working directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) || !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find module: %w", err)
		}
		dir = filepath.Dir(dir)
	}
}
