package manager_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// inspector finds faults by the name of the file; File is a name beside it, or empty.
type inspector map[string]manager.PHPFault

// Inspect implements manager.Inspector.
func (in inspector) Inspect(_ context.Context, files []manager.PHPFile) ([]manager.PHPFault, error) {
	var faults []manager.PHPFault
	for _, f := range files {
		if fault, ok := in[filepath.Base(f.Path)]; ok {
			fault.Path = f.Path
			if fault.File != "" {
				fault.File = filepath.Join(filepath.Dir(f.Path), fault.File)
			}
			faults = append(faults, fault, fault) // once is enough
		}
	}
	return faults, nil
}

// noInspector cannot look at any file.
type noInspector struct{ err error }

// Inspect implements manager.Inspector.
func (in noInspector) Inspect(context.Context, []manager.PHPFile) ([]manager.PHPFault, error) {
	return nil, in.err
}

// inspectCases are about PHP files that PHP was asked about.
func inspectCases() []scanCase {
	files := func(names ...string) map[string]file {
		all := map[string]file{"w/run.sh": {script, 0o755, ""}}
		for _, name := range names {
			all["w/"+name+".php"] = file{"<?php", 0o644, ""}
		}
		return all
	}
	gone := noInspector{errors.New("the interpreter php8.9 is not on the PATH")}
	return []scanCase{
		{
			name: "broken php files", ini: oneDirectory, files: files("a", "b", "c", "d"),
			inspector: inspector{
				"a.php": {Problem: `syntax error, unexpected token "}"`, File: "a.php", Line: 12},
				"c.php": {Problem: "Class Base not found", File: "lib/base.php", Line: 3},
				"d.php": {Problem: "it has neither a function nor a class d"},
			},
			programs: []string{"php! DIR/w/a.php a", "php DIR/w/b.php b", "php! DIR/w/c.php c", "php! DIR/w/d.php d", "exec DIR/w/run.sh run = DIR/w/run.sh"},
			problems: []string{
				`error DIR/w/a.php:12: the function a is not performed: syntax error, unexpected token "}"`,
				"error DIR/w/lib/base.php:3: the function c is not performed: Class Base not found (while DIR/w/c.php was loaded)",
				"error DIR/w/d.php: the function d is not performed: it has neither a function nor a class d",
			},
		},
		{
			name: "php with arguments", ini: oneDirectory + "php_args = --nosuch\n", files: files("a"),
			inspector: noInspector{&php.StartError{Name: "php", Path: "/p", Err: errors.New("it exited with status 1 before it was ready")}},
			programs:  []string{"php! DIR/w/a.php a", "exec DIR/w/run.sh run = DIR/w/run.sh"},
			problems: []string{
				"error config.ini:3: [GearmanManager] php_args: start php with /p: it exited with status 1 before it was ready, so no PHP worker is run (a), want arguments that this php takes and the workers can do with, or a php for the command line",
			},
		},
		{
			name: "no php", ini: oneDirectory + "php = php8.9\n", files: files("a", "b"), inspector: gone,
			programs: []string{"php! DIR/w/a.php a", "php! DIR/w/b.php b", "exec DIR/w/run.sh run = DIR/w/run.sh"},
			problems: []string{
				"error config.ini:3: [GearmanManager] php: the interpreter php8.9 is not on the PATH, so no PHP worker is run (a, b), want the path of a php for the command line, or its name if it is on the PATH",
			},
		},
		{
			name: "no php by default", ini: oneDirectory, files: files("a", "b", "c", "d", "e"), inspector: gone,
			programs: []string{"php! DIR/w/a.php a", "php! DIR/w/b.php b", "php! DIR/w/c.php c", "php! DIR/w/d.php d", "php! DIR/w/e.php e", "exec DIR/w/run.sh run = DIR/w/run.sh"},
			problems: []string{
				"error config.ini: [GearmanManager] php: the interpreter php8.9 is not on the PATH, so no PHP worker is run (a, b, c, 2 more), want the path of a php for the command line, or its name if it is on the PATH",
			},
		},
		{name: "no php and no php files", ini: oneDirectory, files: files(), inspector: gone, programs: []string{"exec DIR/w/run.sh run = DIR/w/run.sh"}},
		{
			name: "of two files for a function the first is looked at", ini: "[GearmanManager]\nworker_dir = DIR/w,DIR/v\n",
			files:     map[string]file{"w/a.php": {"<?php", 0o644, ""}, "v/a.php": {"<?php", 0o644, ""}},
			inspector: inspector{"a.php": {Problem: "x", File: "a.php", Line: 1}},
			programs:  []string{"php! DIR/w/a.php a"},
			problems: []string{
				"error config.ini:2: [GearmanManager] worker_dir: two programs perform the function a: DIR/w/a.php, which is used, and DIR/v/a.php, want one of them",
				"error DIR/w/a.php:1: the function a is not performed: x",
			},
		},
	}
}

// asked notes what an inspector is asked for.
type asked struct{ lines []string }

// Inspect implements manager.Inspector.
func (a *asked) Inspect(_ context.Context, files []manager.PHPFile) ([]manager.PHPFault, error) {
	for _, f := range files {
		a.lines = append(a.lines, fmt.Sprintf("%s %s %s %v", f.Function, filepath.Base(f.Path), f.Symbol, f.Pear))
	}
	return nil, nil
}

// TestScanSaysWhatToInspect: all that PHP has to know to load a file as a worker does.
func TestScanSaysWhatToInspect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.php", "b.inc", "c.php", "d.php"} {
		writeFile(t, filepath.Join(dir, name), "<?php", 0o644)
	}
	ini := "[GearmanManager]\nworker_dir = " + dir + "\nprefix = job_\nexclude = d\n[b]\nmode = php\n[c]\nmode = pear\n"
	cfg, problems := config.Parse("config.ini", []byte(ini), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var in asked
	manager.Scan(t.Context(), cfg, nil, &in)
	want := "a a.php job_a false\nb b.inc job_b false\nc c.php job_c true"
	if diff := cmp.Diff(want, strings.Join(in.lines, "\n")); diff != "" {
		t.Error(diff)
	}
}
