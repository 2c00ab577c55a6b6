package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// workshop is where contenders are built.
type workshop struct {
	dir    string // temporary, removed at the end
	module string // root of our module
}

func (w *workshop) path(name string) string { return filepath.Join(w.dir, name) }

// write writes a file, and makes the directories that it is in.
func (w *workshop) write(name, text string) error {
	file := w.path(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// home makes a directory for what a manager writes. Its path is short, as sockets
// are made below it.
func (w *workshop) home() (string, error) {
	dir, err := os.MkdirTemp(w.dir, "")
	if err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	return dir, nil
}

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

// buildPHPWorker makes a directory of this name with one worker file.
func buildPHPWorker(name, text string) func(context.Context, *workshop) error {
	return func(ctx context.Context, w *workshop) error {
		if err := need("php", "php-cli"); err != nil {
			return err
		}
		if err := w.run(ctx, "php", "-r", "exit((int) !extension_loaded('Zend OPcache'));"); err != nil {
			return &missingError{"PHP's opcache", "php-opcache"}
		}
		if err := buildManager(ctx, w); err != nil {
			return err
		}
		return w.write(name+"/reverse.php", text)
	}
}

// buildOperationPlugin makes the plugin with the functions that the operation
// table needs.
func buildOperationPlugin(ctx context.Context, w *workshop) error {
	if err := buildManager(ctx, w); err != nil {
		return err
	}
	return w.run(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", w.path("op-plugin")+"/", "./bench/workers/operation")
}

// buildOperationPHP makes a directory of this name with worker files for the same
// functions.
func buildOperationPHP(name string) func(context.Context, *workshop) error {
	return func(ctx context.Context, w *workshop) error {
		return errors.Join(buildPHPWorker(name, reversePHP)(ctx, w), w.write(name+"/linger.php", lingerPHP))
	}
}

// buildForkManager makes such a directory for the PHP program that forks PHP loops.
func buildForkManager(name string) func(context.Context, *workshop) error {
	return func(ctx context.Context, w *workshop) error {
		return errors.Join(
			needPecl(ctx, w),
			w.write("fork.php", forkPHP),
			w.write(name+"/reverse.php", reversePHP),
			w.write(name+"/linger.php", lingerPHP),
		)
	}
}

// buildEditions makes the editions of a contender of the reload table with write,
// which is given the file's path in the workshop.
func buildEditions(id string, write func(ctx context.Context, w *workshop, file, edition string) error) func(context.Context, *workshop) error {
	return func(ctx context.Context, w *workshop) error {
		if err := os.MkdirAll(w.path(id), 0o755); err != nil {
			return fmt.Errorf("make worker directory: %w", err)
		}
		for _, edition := range editions() {
			if err := write(ctx, w, editionFile(id, edition), edition); err != nil {
				return err
			}
		}
		return nil
	}
}

// stage makes a copy of an edition and returns its path: it is in place once it is
// renamed to target.
func (w *workshop) stage(c contender, edition string) (staged, target string, err error) {
	data, err := os.ReadFile(w.path(editionFile(c.id, edition)))
	if err != nil {
		return "", "", fmt.Errorf("stage edition: %w", err)
	}
	staged = w.path(c.id + "-staged")
	if err := os.WriteFile(staged, data, 0o755); err != nil { //nolint:gosec // a program
		return "", "", fmt.Errorf("stage edition: %w", err)
	}
	return staged, filepath.Join(w.path(c.id), c.file), nil
}

// place puts an edition in the worker directory.
func (w *workshop) place(c contender, edition string) error {
	staged, target, err := w.stage(c, edition)
	if err != nil {
		return err
	}
	if err := os.Rename(staged, target); err != nil {
		return fmt.Errorf("put edition in place: %w", err)
	}
	return nil
}

// editionFile is where an edition is kept until it is put in place.
func editionFile(id, edition string) string { return filepath.Join(id+"-editions", edition) }

func writePluginEdition(ctx context.Context, w *workshop, file, edition string) error {
	if err := buildManager(ctx, w); err != nil {
		return err
	}
	return w.run(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-X main.edition="+edition,
		"-o", w.path(file), "./bench/workers/edition")
}

func writePHPEdition(_ context.Context, w *workshop, file, edition string) error {
	return w.write(file, strings.Replace(editionPHP, "EDITION", edition, 1))
}

// buildPHPEditions makes worker files, and what else the PHP worker of the reload
// table needs: directories with many programs.
func buildPHPEditions(id string) func(context.Context, *workshop) error {
	return func(ctx context.Context, w *workshop) error {
		if err := buildPHPWorker(id+"-unused", reversePHP)(ctx, w); err != nil {
			return err
		}
		for _, watched := range []bool{false, true} {
			for i := range manyPrograms {
				name := programName(watched, i)
				text := strings.Replace(editionPHP, "function edition(", "function "+name+"(", 1)
				if err := w.write(filepath.Join(programsDir(watched), name+".php"), text); err != nil {
					return err
				}
			}
		}
		return buildEditions(id, writePHPEdition)(ctx, w)
	}
}

// buildForkEditions makes worker files for the fork manager.
func buildForkEditions(id string) func(context.Context, *workshop) error {
	return func(ctx context.Context, w *workshop) error {
		return errors.Join(needPecl(ctx, w), w.write("fork.php", forkPHP), buildEditions(id, writePHPEdition)(ctx, w))
	}
}

func buildPHPLoop(ctx context.Context, w *workshop) error {
	return errors.Join(needPecl(ctx, w), w.write("loop.php", loopPHP))
}

func buildPHPChild(ctx context.Context, w *workshop) error {
	return errors.Join(
		needPecl(ctx, w),
		w.write("gearmanmanager/child.php", childPHP),
		w.write("gearmanmanager/process.php", processPHP),
		w.write("gearmanmanager/reverse.php", reversePHP),
	)
}

// needPecl looks for PHP with pecl/gearman.
func needPecl(ctx context.Context, w *workshop) error {
	if err := need("php", "php-cli"); err != nil {
		return err
	}
	if err := w.run(ctx, "php", "-r", "exit((int) !class_exists('GearmanWorker'));"); err != nil {
		return &missingError{"PHP's gearman extension", "php-gearman"}
	}
	return nil
}

func buildC(ctx context.Context, w *workshop) error {
	if err := need("gcc", "gcc libc6-dev"); err != nil {
		return err
	}
	source, header := w.path("reverse.c"), w.path("header.c")
	if err := errors.Join(
		w.write("reverse.c", reverseC),
		w.write("header.c", "#include <libgearman/gearman.h>\n"),
	); err != nil {
		return err
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
