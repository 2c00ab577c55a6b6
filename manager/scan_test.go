package manager_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

// describer answers for plugins by the name of their file.
type describer map[string]manager.Description

var errGarbage = errors.New("it printed garbage")

// Describe implements manager.Describer.
func (d describer) Describe(_ context.Context, path, _ string) (manager.Description, error) {
	description, ok := d[filepath.Base(path)]
	if !ok {
		return manager.Description{}, errGarbage
	}
	return description, nil
}

// file is a file of a test's directory.
type file struct {
	content string
	mode    os.FileMode
	// link makes a symbolic link to this place instead.
	link string
}

const script = "#!/bin/sh\ncat\n"

// scanCase is one directory with one config. DIR stands for the directory in texts.
type scanCase struct {
	name      string
	ini       string
	files     map[string]file
	dirs      map[string]os.FileMode
	describer manager.Describer
	inspector manager.Inspector
	// programs are "kind path functions", with a ! behind the kind of a broken one, problems their String, in order.
	programs []string
	problems []string
}

// run scans and compares.
func (c scanCase) run(t *testing.T) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range c.files {
		path := filepath.Join(dir, name)
		if f.link == "" {
			writeFile(t, path, f.content, f.mode)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(strings.ReplaceAll(f.link, "DIR", dir), path); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range c.dirs {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	cfg, problems := config.Parse("config.ini", []byte(strings.ReplaceAll(c.ini, "DIR", dir)), nil)
	if len(problems) > 0 {
		t.Fatalf("config: %v", problems)
	}
	programs, problems := manager.Scan(t.Context(), cfg, c.describer, c.inspector)
	var gotPrograms, gotProblems []string
	for _, p := range programs {
		line := fmt.Sprintf("%s%s %s %s", p.Kind, map[bool]string{true: "!"}[p.Broken], p.Path, strings.Join(p.Functions, ","))
		if p.Command != nil {
			line += " = " + strings.Join(p.Command, " ")
		}
		gotPrograms = append(gotPrograms, strings.ReplaceAll(line, dir, "DIR"))
	}
	for _, p := range problems {
		gotProblems = append(gotProblems, string(p.Severity)+" "+strings.ReplaceAll(p.String(), dir, "DIR"))
	}
	if diff := cmp.Diff(c.programs, gotPrograms); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(c.problems, gotProblems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// oneDirectory is the config of most cases.
const oneDirectory = "[GearmanManager]\nworker_dir = DIR/w\n"

// TestScan finds programs of each kind, and everything that can be wrong with one.
func TestScan(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(kindCases(), fileCases(), directoryCases(), trustCases(), conflictCases(), inspectCases()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// kindCases are about what is recognised.
func kindCases() []scanCase {
	return []scanCase{
		{
			name: "kinds by file", ini: oneDirectory,
			files: map[string]file{
				"w/b.php": {"<?php", 0o644, ""}, "w/wc.sh": {script, 0o755, ""}, "w/word.count.py": {"#!/usr/bin/env sh\n", 0o755, ""},
				"w/README.md": {"text", 0o644, ""}, "w/.hidden": {script, 0o755, ""}, "w/.hidden.php": {"<?php", 0o644, ""},
				"w/sub/deep.php": {"<?php", 0o644, ""}, "w/wc.sh~": {script, 0o755, ""}, "w/#wc.sh#": {script, 0o755, ""}, "w/4913": {script, 0o755, ""}, "w/executable.php": {"<?php", 0o755, ""}, "w/data": {"", 0o644, ""},
			},
			programs: []string{
				"php DIR/w/b.php b", "php DIR/w/executable.php executable", "exec DIR/w/wc.sh wc = DIR/w/wc.sh", "exec DIR/w/word.count.py word.count = DIR/w/word.count.py",
			},
		},
		{
			name: "commands", ini: "[wc]\ncommand = sh -c 'wc -l'\n[own]\ncommand = DIR/own --x\nmode = standalone\n[tool]\ncommand = DIR/tool\nmode = exec\n",
			files: map[string]file{"own": {script, 0o755, ""}, "tool": {script, 0o755, ""}},
			programs: []string{
				"exec " + shell() + " wc = " + shell() + " -c wc -l", "standalone DIR/own own = DIR/own --x", "exec DIR/tool tool = DIR/tool",
			},
		},
		{
			name: "mode decides", ini: oneDirectory + "[a]\nmode = exec\n[b]\nmode = php\n[c]\nmode = standalone\n[d]\nmode = pear\n",
			files:    map[string]file{"w/a.php": {"#!/bin/sh\n", 0o755, ""}, "w/b.inc": {"<?php", 0o644, ""}, "w/c": {script, 0o755, ""}, "w/d.php": {"<?php", 0o644, ""}},
			programs: []string{"exec DIR/w/a.php a = DIR/w/a.php", "php DIR/w/b.inc b", "standalone DIR/w/c c = DIR/w/c", "php DIR/w/d.php d"},
		},
		{
			name: "plugins by mode", ini: oneDirectory + "[p]\nmode = plugin\n[q]\ncommand = DIR/q\nmode = plugin\n[resize]\ncount = 2\n",
			files: map[string]file{"w/p": {script, 0o755, ""}, "q": {script, 0o755, ""}},
			describer: describer{
				"p": {Functions: []string{"resize", "thumb", "resize"}}, "q": {Functions: []string{"mail"}},
			},
			programs: []string{"plugin DIR/q mail", "plugin DIR/w/p resize,thumb"},
		},
		{
			name: "include and exclude", ini: "[GearmanManager]\nworker_dir = DIR/w\ninclude = a,b,mail,big\nexclude = b,big\n[p]\nmode = plugin\n[big]\ncommand = sh -c x\n",
			files:     map[string]file{"w/a.php": {"", 0o644, ""}, "w/b.php": {"", 0o644, ""}, "w/c.php": {"", 0o644, ""}, "w/p": {script, 0o755, ""}},
			describer: describer{"p": {Functions: []string{"resize", "mail"}}},
			programs:  []string{"php DIR/w/a.php a", "plugin DIR/w/p mail"},
		},
		{
			name: "all excluded is not empty", ini: "[GearmanManager]\nworker_dir = DIR/w\nexclude = a\n",
			files: map[string]file{"w/a.php": {"", 0o644, ""}},
		},
	}
}

// fileCases are about files that cannot be run.
func fileCases() []scanCase {
	const at = "config.ini:2: [GearmanManager] worker_dir: the file DIR/w/"
	return []scanCase{
		{
			name: "broken executables", ini: oneDirectory,
			files: map[string]file{
				"w/a.php": {"", 0o644, ""}, "w/b": {"no script\n", 0o755, ""}, "w/c": {"#!/no/such/interpreter\n", 0o755, ""}, "w/d": {"#!/usr/bin/env no-such-interpreter\n", 0o755, ""},
				"w/e": {"#!/bin/sh\r\necho\r\n", 0o755, ""}, "w/f": {"", 0o755, ""}, "w/g.sh": {script, 0o644, ""}, "w/h": {"#!\n", 0o755, ""}, "w/i": {script, 0o755, ""},
				"w/two words": {script, 0o755, ""}, "w/gone": {link: "DIR/nowhere"},
			},
			programs: []string{"php DIR/w/a.php a", "exec DIR/w/i i = DIR/w/i"},
			problems: []string{
				"error " + at + "b is neither a binary nor a script with an interpreter, want a first line such as #!/bin/sh",
				"error " + at + "c wants the interpreter /no/such/interpreter, which is not there, want it installed",
				"error " + at + "d wants the interpreter no-such-interpreter, which is not on the PATH, want it installed",
				"error " + at + "e has a carriage return at the end of its #! line, want Unix line ends",
				"error " + at + "f is empty, want a program",
				"warning " + at + "g.sh looks like a program but is not executable, want chmod +x, or it moved away",
				"error " + at + "gone cannot be read (stat DIR/w/gone: no such file or directory), want a worker",
				"error " + at + "h has no interpreter in its #! line, want a first line such as #!/bin/sh",
				`error ` + at + `two words is not run: "two words" cannot be a function's name: it holds a space or a control character, want visible characters only`,
			},
		},
		{
			name: "broken commands",
			ini:  "[a]\ncommand = no-such-program -x\n[b]\ncommand = DIR/none\n[c]\ncommand = DIR/plain\n[d]\ncommand = cat\nmode = php\n[e]\ncommand = DIR/text\n[f]\ncommand = DIR/fine x\nmode = plugin\n[g]\ncommand = DIR/fine\n",
			files: map[string]file{
				"plain": {script, 0o644, ""}, "text": {"text", 0o755, ""}, "fine": {script, 0o755, ""},
			},
			programs: []string{"exec DIR/fine g = DIR/fine"},
			problems: []string{
				"error config.ini:2: [a] command: the program no-such-program is not on the PATH, want an executable file",
				"error config.ini:4: [b] command: the program DIR/none is not there, want an executable file",
				"error config.ini:6: [c] command: the program DIR/plain may not be executed, want an executable file",
				"error config.ini:9: [d] mode: a command cannot be run in mode php, want exec, standalone or plugin, or a file in worker_dir",
				"error config.ini:11: [e] command: the file DIR/text is neither a binary nor a script with an interpreter, want a first line such as #!/bin/sh",
				"error config.ini:13: [f] command: a plugin takes no arguments, want only its path",
			},
		},
		{
			name: "broken plugins", ini: oneDirectory + "[bad]\nmode = plugin\n[none]\nmode = plugin\n[names]\nmode = plugin\n",
			files:     map[string]file{"w/bad": {script, 0o755, ""}, "w/none": {script, 0o755, ""}, "w/names": {script, 0o755, ""}, "w/ok": {script, 0o755, ""}},
			describer: describer{"none": {}, "names": {Functions: []string{"a b", "", "good"}}},
			programs:  []string{"plugin DIR/w/names good", "exec DIR/w/ok ok = DIR/w/ok"},
			problems: []string{
				"error config.ini:4: [bad] mode: the plugin DIR/w/bad is not run, since it did not say what it performs: it printed garbage",
				`error config.ini:8: [names] mode: the plugin DIR/w/names: "a b" cannot be a function's name: it holds a space or a control character, want visible characters only`,
				`error config.ini:8: [names] mode: the plugin DIR/w/names: "" cannot be a function's name: it is empty, want a name`,
				"error config.ini:6: [none] mode: the plugin DIR/w/none performs no function, want at least one",
			},
		},
		{
			name: "plugins without describer", ini: oneDirectory + "[p]\nmode = plugin\n", files: map[string]file{"w/p": {script, 0o755, ""}},
			problems: []string{"error config.ini:4: [p] mode: the plugin DIR/w/p is not run, since it did not say what it performs: plugins are not run here"},
		},
	}
}

// directoryCases are about worker directories.
func directoryCases() []scanCase {
	return []scanCase{
		{
			name: "missing or empty or a file", ini: "[GearmanManager]\nworker_dir = DIR/none,DIR/empty,DIR/file,DIR/w\n",
			files: map[string]file{"file": {"", 0o644, ""}, "w/a.php": {"", 0o644, ""}}, dirs: map[string]os.FileMode{"empty": 0o755},
			programs: []string{"php DIR/w/a.php a"},
			problems: []string{
				"error config.ini:2: [GearmanManager] worker_dir: there is no directory DIR/none, want a directory with workers",
				"warning config.ini:2: [GearmanManager] worker_dir: the directory DIR/empty holds no worker, want .php files or executables",
				"error config.ini:2: [GearmanManager] worker_dir: DIR/file is no directory, want a directory with workers",
			},
		},
		{
			name: "symbolic links", ini: "[GearmanManager]\nworker_dir = DIR/current,DIR/releases/2\n",
			files: map[string]file{
				"current": {link: "DIR/releases/2"}, "releases/2/a.php": {"", 0o644, ""}, "releases/2/b": {link: "DIR/shared/b"}, "shared/b": {script, 0o755, ""},
			},
			programs: []string{"php DIR/releases/2/a.php a", "exec DIR/releases/2/b b = DIR/releases/2/b"},
		},
	}
}

// trustCases are about files that others may change.
func trustCases() []scanCase {
	const at = "error config.ini:2: [GearmanManager] worker_dir: others may write to "
	return []scanCase{
		{
			name: "writable files", ini: oneDirectory,
			files: map[string]file{
				"w/a.php": {"", 0o666, ""}, "w/b": {script, 0o757, ""}, "w/c": {script, 0o775, ""}, "w/d": {link: "DIR/open/d"}, "open/d": {script, 0o755, ""},
			},
			dirs:     map[string]os.FileMode{"open": 0o777},
			programs: []string{"exec DIR/w/c c = DIR/w/c"},
			problems: []string{
				at + "DIR/w/a.php, so DIR/w/a.php is not run, want chmod o-w DIR/w/a.php",
				at + "DIR/w/b, so DIR/w/b is not run, want chmod o-w DIR/w/b",
				at + "DIR/open, so DIR/w/d is not run, want chmod o-w DIR/open",
			},
		},
		{
			name: "not in UTF-8", ini: "[GearmanManager]\nworker_dir = DIR/w\n[x]\ncommand = DIR/w/b \xe9\n",
			files:    map[string]file{"w/b": {script, 0o755, ""}, "w/caf\xe9": {script, 0o755, ""}},
			programs: []string{"exec DIR/w/b b = DIR/w/b"},
			problems: []string{
				`error config.ini:4: [x] command: "\xe9" is not run: it is not in UTF-8, want a name and arguments that are`,
				`error config.ini:2: [GearmanManager] worker_dir: "DIR/w/caf\xe9" is not run: it is not in UTF-8, want a name and arguments that are`,
			},
		},
		{
			name: "writable directories above", ini: "[GearmanManager]\nworker_dir = DIR/w\n[x]\ncommand = DIR/open/link\n[y]\ncommand = DIR/open/sub/a\n",
			files: map[string]file{
				"w/b": {script, 0o755, ""}, "open/sub/a": {script, 0o755, ""}, "open/link": {link: "DIR/w/b"},
			},
			dirs:     map[string]os.FileMode{"open": 0o777},
			programs: []string{"exec DIR/w/b b = DIR/w/b"},
			problems: []string{
				"error config.ini:4: [x] command: others may write to DIR/open, so DIR/open/link is not run, want chmod o-w DIR/open",
				"error config.ini:6: [y] command: others may write to DIR/open, so DIR/open/sub/a is not run, want chmod o-w DIR/open",
			},
		},
		{
			name: "writable directories", ini: "[GearmanManager]\nworker_dir = DIR/open,DIR/sticky\n[x]\ncommand = DIR/open/a\n",
			files:    map[string]file{"open/a": {script, 0o755, ""}, "sticky/b": {script, 0o755, ""}},
			dirs:     map[string]os.FileMode{"open": 0o777, "sticky": 0o777 | os.ModeSticky},
			programs: []string{"exec DIR/sticky/b b = DIR/sticky/b"},
			problems: []string{
				"error config.ini:4: [x] command: others may write to DIR/open, so DIR/open/a is not run, want chmod o-w DIR/open",
				"error config.ini:2: [GearmanManager] worker_dir: others may write to the directory DIR/open, so nothing in it is run, want chmod o-w DIR/open",
			},
		},
	}
}

// conflictCases are about two programs for one function.
func conflictCases() []scanCase {
	return []scanCase{
		{
			name: "the first stays", ini: "[GearmanManager]\nworker_dir = DIR/w,DIR/v\n[a]\ncommand = sh -c x\n[p]\nmode = plugin\n",
			files:     map[string]file{"w/a.php": {"", 0o644, ""}, "w/b.php": {"", 0o644, ""}, "w/b": {script, 0o755, ""}, "v/b.php": {"", 0o644, ""}, "w/p": {script, 0o755, ""}},
			describer: describer{"p": {Functions: []string{"b", "own"}}},
			programs:  []string{"exec " + shell() + " a = " + shell() + " -c x", "exec DIR/w/b b = DIR/w/b", "plugin DIR/w/p own"},
			problems: []string{
				"error config.ini:3: [a]: two programs perform the function a: command = " + shell() + " -c x, which is used, and DIR/w/a.php, want one of them",
				"error config.ini:2: [GearmanManager] worker_dir: two programs perform the function b: DIR/w/b, which is used, and DIR/w/b.php, want one of them",
				"error config.ini:6: [p] mode: two programs perform the function b: DIR/w/b, which is used, and DIR/w/p, want one of them",
				"error config.ini:2: [GearmanManager] worker_dir: two programs perform the function b: DIR/w/b, which is used, and DIR/v/b.php, want one of them",
			},
		},
	}
}

// shell returns the path of the shell.
func shell() string {
	path, err := exec.LookPath("sh")
	if err != nil {
		return "/bin/sh"
	}
	return path
}

// TestScanDefaultDirectory says nothing of a missing ./workers where commands are named, and asks for it where none are. It is not
// parallel, since the default is seen from the working directory.
func TestScanDefaultDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	for text, want := range map[string]int{"[x]\ncommand = sh -c x\n": 0, "": 1, "[GearmanManager]\nworker_dir = ./workers\n[x]\ncommand = sh -c x\n": 1} {
		cfg, problems := config.Parse("config.ini", []byte(text), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if _, problems = manager.Scan(t.Context(), cfg, nil, nil); len(problems) != want {
			t.Errorf("%q: problems %v, want %d", text, problems, want)
		}
	}
}

// TestScanRecognisesBuiltPrograms builds a plugin and another Go program and looks at them without running them.
func TestScanRecognisesBuiltPrograms(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds two programs")
	}
	dir := filepath.Join(t.TempDir(), "w")
	for name, args := range map[string][]string{
		"plain":    {"./testdata/plugin"},
		"stripped": {"-trimpath", "-ldflags=-s -w", "./testdata/plugin"},
		"other":    {"./testdata/goprogram"},
	} {
		build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", filepath.Join(dir, name)}, args...)...)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	cfg, _ := config.Parse("config.ini", []byte("[GearmanManager]\nworker_dir = "+dir+"\n"), nil)
	programs, problems := manager.Scan(t.Context(), cfg, describer{"plain": {Functions: []string{"echo"}, Version: "v1"}, "stripped": {Functions: []string{"echo2"}}}, nil)
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	kinds := map[string]manager.Kind{}
	for _, p := range programs {
		kinds[strings.Join(p.Functions, ",")+" "+p.Version] = p.Kind
	}
	want := map[string]manager.Kind{"echo v1": manager.KindPlugin, "echo2 ": manager.KindPlugin, "other ": manager.KindExec}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// meeting is a describer whose calls wait until so many are there at the same time.
type meeting struct {
	mu      sync.Mutex
	waiting int
	wanted  int
	met     chan struct{}
}

// Describe implements manager.Describer.
func (m *meeting) Describe(ctx context.Context, path, run string) (manager.Description, error) {
	m.mu.Lock()
	if m.waiting++; m.waiting == m.wanted {
		close(m.met)
	}
	m.mu.Unlock()
	select {
	case <-m.met:
		return manager.Description{Functions: []string{filepath.Base(path)}}, nil
	case <-ctx.Done():
		return manager.Description{}, ctx.Err()
	}
}

// plugins makes a config of n plugins.
func plugins(t *testing.T, n int) *config.Config {
	t.Helper()
	dir := t.TempDir()
	text := "[GearmanManager]\nworker_dir = " + dir + "\n"
	for i := range n {
		name := fmt.Sprintf("p%d", i)
		writeFile(t, filepath.Join(dir, name), script, 0o755)
		text += "[" + name + "]\nmode = plugin\n"
	}
	cfg, problems := config.Parse("config.ini", []byte(text), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return cfg
}

// TestScanAsksPluginsTogether shows that a slow plugin does not hold up the others, and that nothing is left running.
func TestScanAsksPluginsTogether(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	programs, problems := manager.Scan(ctx, plugins(t, 8), &meeting{wanted: 4, met: make(chan struct{})}, nil)
	if len(programs) != 8 || len(problems) > 0 {
		t.Errorf("%d programs, problems %v", len(programs), problems)
	}
}

// TestScanEndsWithContext leaves out what could not be asked any more.
func TestScanEndsWithContext(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	programs, problems := manager.Scan(ctx, plugins(t, 3), &meeting{wanted: 9, met: make(chan struct{})}, nil)
	if len(programs) != 0 || len(problems) != 3 || !strings.Contains(problems[0].Message, "context canceled") {
		t.Errorf("%d programs, problems %v", len(programs), problems)
	}
}
