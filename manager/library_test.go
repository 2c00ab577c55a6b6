package manager

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/content"
)

// shelf is a library with a directory of programs.
type shelf struct {
	t     testing.TB
	dir   string // holds w, the worker directory, and lib
	ini   string
	lib   *library
	now   time.Time
	elf   []byte
	asked asked

	mu     sync.Mutex
	events []Event
}

// asked counts who was asked what.
type asked struct {
	mu        sync.Mutex
	described []string // programs
	inspected [][]string
	noPHP     error
}

const shelfIni = "[GearmanManager]\nworker_dir = DIR/w\nwatch = DIR/lib/*.inc\n[p]\nmode = plugin\n[q]\nmode = plugin\n[s]\nmode = standalone\nwatch = DIR/s.conf\n"

func setupShelf(t *testing.T) *shelf {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	elf, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, dir: dir, ini: shelfIni, now: time.Now(), elf: elf}
	for _, sub := range []string{"w", "lib"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	store, err := content.OpenStore(filepath.Join(dir, "copies"))
	if err != nil {
		t.Fatal(err)
	}
	s.lib = s.newLibrary(store)
	return s
}

func (s *shelf) newLibrary(store *content.Store) *library {
	l := newLibrary(store, s, s, func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	})
	l.now = func() time.Time { return s.now }
	return l
}

// Describe implements Describer: the end of a plugin's file is "says VERSION FUNCTION...".
func (s *shelf) Describe(_ context.Context, path, run string) (Description, error) {
	s.asked.mu.Lock()
	s.asked.described = append(s.asked.described, filepath.Base(path))
	s.asked.mu.Unlock()
	data, err := os.ReadFile(run)
	if run == "" {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return Description{}, err
	}
	_, text, ok := strings.Cut(string(data), "\nsays ")
	words := strings.Fields(text)
	if !ok || len(words) == 0 {
		return Description{}, errors.New("it printed garbage")
	}
	return Description{Version: words[0], Functions: words[1:]}, nil
}

// Inspect implements Inspector: a file with "fault FILE" in it has one there.
func (s *shelf) Inspect(_ context.Context, files []PHPFile) ([]PHPFault, error) {
	s.asked.mu.Lock()
	defer s.asked.mu.Unlock()
	var names []string
	var faults []PHPFault
	for _, f := range files {
		names = append(names, f.Function)
		data, err := os.ReadFile(f.Path)
		if _, where, broken := strings.Cut(string(data), "fault "); err != nil || broken {
			faults = append(faults, PHPFault{Path: f.Path, Problem: "it is broken", File: strings.TrimSpace(where), Line: 3})
		}
	}
	s.asked.inspected = append(s.asked.inspected, names)
	return faults, s.asked.noPHP
}

// config is what the ini says by now.
func (s *shelf) config() *config.Config {
	s.t.Helper()
	cfg, problems := config.Parse("config.ini", []byte(strings.ReplaceAll(s.ini, "DIR", s.dir)), nil)
	if config.HasErrors(problems) {
		s.t.Fatal(problems)
	}
	return cfg
}

// look looks, and returns the programs by name.
func (s *shelf) look(running []Program, how lookAt) ([]Program, []config.Problem) {
	s.t.Helper()
	return s.lib.look(s.t.Context(), s.config(), running, how)
}

// questions returns what was asked since it was called last.
func (s *shelf) questions() (described []string, inspected [][]string) {
	described, inspected = s.asked.described, s.asked.inspected
	s.asked.described, s.asked.inspected = nil, nil
	slices.Sort(described)
	return described, inspected
}

// write writes a file in one go, as mv does.
func (s *shelf) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	temp := filepath.Join(s.dir, "temp")
	if err := os.WriteFile(temp, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(temp, mode), os.Rename(temp, path)); err != nil {
		s.t.Fatal(err)
	}
}

// plugin writes a plugin.
func (s *shelf) plugin(name, version string, functions ...string) {
	s.t.Helper()
	s.write(name, string(s.elf)+"\nsays "+version+" "+strings.Join(functions, " "), 0o755)
}

func (s *shelf) php(name, code string) { s.t.Helper(); s.write(name, "<?php "+code, 0o644) }

func (s *shelf) script(name, code string) { s.t.Helper(); s.write(name, "#!/bin/sh\n"+code, 0o755) }

// fill writes a program of each kind.
func (s *shelf) fill() {
	s.t.Helper()
	s.plugin("w/p", "1.0", "up", "down")
	s.php("w/a.php", "1")
	s.php("w/b.php", "1")
	s.script("w/e.sh", "1")
	s.script("w/s", "1")
}

// names are those of programs.
func names(programs []Program) (list []string) {
	for _, p := range programs {
		list = append(list, filepath.Base(p.Named))
	}
	return list
}

// of returns the program of a name; the test ends where there is none.
func of(t *testing.T, programs []Program, name string) Program {
	t.Helper()
	i := slices.IndexFunc(programs, func(p Program) bool { return filepath.Base(p.Named) == name })
	if i < 0 {
		t.Fatalf("there is no program %s, but %v", name, names(programs))
	}
	return programs[i]
}

// TestLook finds everything at first, and asks nobody about what it knows.
func TestLook(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.fill()
	first, problems := s.look(nil, lookAt{code: true, settled: true})
	if want := []string{"a.php", "b.php", "e.sh", "p", "s"}; !slices.Equal(names(first), want) || problems != nil {
		t.Fatalf("found %v, want %v; problems %v", names(first), want, problems)
	}
	p := of(t, first, "p")
	if p.Version != "1.0" || !slices.Equal(p.Functions, []string{"up", "down"}) || p.Hash == "" || p.Hash != p.FileHash {
		t.Errorf("plugin: %+v", p)
	}
	if private, err := os.ReadFile(p.Run); err != nil || !strings.HasSuffix(string(private), "says 1.0 up down") || p.Run == p.Path {
		t.Errorf("private copy %s: %v", p.Run, err)
	}
	for _, name := range []string{"a.php", "e.sh", "s"} {
		if p := of(t, first, name); p.Run != "" || p.Hash == "" {
			t.Errorf("%+v", p)
		}
	}
	described, inspected := s.questions()
	if diff := cmp.Diff([][]string{{"a", "b"}}, inspected); diff != "" || !slices.Equal(described, []string{"p"}) {
		t.Errorf("described %v, inspected (-want +got):\n%s", described, diff)
	}
	now := time.Now().Add(time.Hour)
	for _, name := range names(first) { // a touch
		if err := os.Chtimes(filepath.Join(s.dir, "w", name), now, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, how := range []lookAt{{code: true}, {code: true, settled: true}, {}, {code: true, again: true}} {
		again, problems := s.look(first, how)
		if diff := cmp.Diff(first, again); diff != "" || problems != nil {
			t.Errorf("%+v: %v (-first +again):\n%s", how, problems, diff)
		}
	}
	if described, inspected := s.questions(); described != nil || inspected != nil {
		t.Errorf("asked again: %v, %v", described, inspected)
	}
}

// TestNewCode is taken, and the old one too when it is back.
func TestNewCode(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.fill()
	first, _ := s.look(nil, lookAt{code: true})
	s.questions()
	s.plugin("w/p", "1.1", "up", "across")
	s.php("w/a.php", "2")
	s.script("w/e.sh", "2")
	s.script("w/s", "2")
	s.php("w/c.php", "1")
	second, problems := s.look(first, lookAt{code: true, settled: true})
	if problems != nil {
		t.Error(problems)
	}
	for _, name := range []string{"p", "a.php", "e.sh", "s", "b.php"} {
		if old, next := of(t, first, name), of(t, second, name); (old.Hash != next.Hash) != (name != "b.php") {
			t.Errorf("%s: %s, and had %s", name, next.Hash, old.Hash)
		}
	}
	if p := of(t, second, "p"); p.Version != "1.1" || !slices.Equal(p.Functions, []string{"up", "across"}) || p.Run == of(t, first, "p").Run {
		t.Errorf("plugin: %+v", p)
	}
	if old := of(t, first, "p").Run; !strings.HasSuffix(readText(t, old), "says 1.0 up down") {
		t.Errorf("the private copy of the version before is another")
	}
	described, inspected := s.questions()
	if diff := cmp.Diff([][]string{{"a", "b", "c"}}, inspected); diff != "" || !slices.Equal(described, []string{"p"}) {
		t.Errorf("described %v, inspected (-want +got):\n%s", described, diff)
	}
	s.fill()
	if err := os.Remove(filepath.Join(s.dir, "w/c.php")); err != nil {
		t.Fatal(err)
	}
	third, _ := s.look(second, lookAt{code: true, settled: true})
	if diff := cmp.Diff(first, third); diff != "" {
		t.Errorf("(-first +third):\n%s", diff)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// brokenCase is a change that leaves what runs as it is, or does not.
type brokenCase struct {
	name   string
	change func(*shelf)
	how    lookAt
	// faulty are the programs that are kept and have a fault, gone those that are no more, changed those that are another or new. All others have to be as before.
	faulty, gone, changed string
	problem               string // a part of one; empty: there is none
}

// TestWhatRunsGoesOn: a program that is broken, or may not be taken, is as it was; one that is gone or unsafe is not.
func TestWhatRunsGoesOn(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(brokenCases(), unsafeCases(), heldCases()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := setupShelf(t)
			s.fill()
			first, problems := s.look(nil, lookAt{code: true})
			if problems != nil {
				t.Fatal(problems)
			}
			c.change(s)
			c.how.settled = true
			next, problems := s.look(first, c.how)
			c.check(t, first, next)
			var text []string
			for _, p := range problems {
				text = append(text, p.String())
			}
			if all := strings.Join(text, "\n"); c.problem == "" && problems != nil || !strings.Contains(all, c.problem) {
				t.Errorf("problems %s, want %q", all, c.problem)
			}
			again, more := s.look(next, c.how)
			if diff := cmp.Diff(next, again) + cmp.Diff(problems, more); diff != "" {
				t.Errorf("another look finds something else:\n%s", diff)
			}
		})
	}
}

func (c brokenCase) check(t *testing.T, first, next []Program) {
	t.Helper()
	has := func(list, name string) bool { return slices.Contains(strings.Fields(list), name) }
	for _, old := range first {
		name := filepath.Base(old.Named)
		i := slices.IndexFunc(next, func(p Program) bool { return p.Named == old.Named })
		if i < 0 {
			if !has(c.gone, name) {
				t.Errorf("%s is gone", name)
			}
			continue
		}
		now := next[i]
		if (now.Fault != "") != has(c.faulty, name) {
			t.Errorf("%s has the fault %q", name, now.Fault)
		}
		now.Fault, now.Origin = "", old.Origin
		switch diff := cmp.Diff(old, now); {
		case has(c.gone, name):
			t.Errorf("%s is still there", name)
		case (diff != "") != has(c.changed, name):
			t.Errorf("%s (-before +now):\n%s", name, diff)
		}
	}
	for _, p := range next {
		if name := filepath.Base(p.Named); !has(c.changed, name) && !slices.ContainsFunc(first, func(old Program) bool { return old.Named == p.Named }) {
			t.Errorf("%s is new", name)
		}
	}
}

func brokenCases() []brokenCase {
	code := lookAt{code: true}
	remove := func(name string) func(*shelf) {
		return func(s *shelf) {
			if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return []brokenCase{
		{name: "a plugin that prints garbage", how: code, change: func(s *shelf) { s.write("w/p", string(s.elf), 0o755) }, faulty: "p", problem: "the new version of the plugin"},
		{name: "a plugin without functions", how: code, change: func(s *shelf) { s.plugin("w/p", "2") }, faulty: "p", problem: "performs no function, want at least one; the version that runs goes on"},
		{name: "half a plugin", how: code, change: func(s *shelf) { s.write("w/p", string(s.elf[:len(s.elf)*2/3]), 0o755) }, faulty: "p", problem: "incomplete binary"},
		{name: "most of a plugin", how: code, change: func(s *shelf) { s.write("w/p", string(s.elf[:len(s.elf)-8]), 0o755) }, faulty: "p", problem: "incomplete binary"},
		{name: "an empty plugin", how: code, change: func(s *shelf) { s.write("w/p", "", 0o755) }, faulty: "p", problem: "is empty"},
		{name: "a plugin that is a link to nothing", how: code, change: func(s *shelf) { s.link("/nothing/here", "w/p") }, faulty: "p", problem: "cannot be read"},
		{name: "a broken php file", how: code, change: func(s *shelf) { s.php("w/a.php", "fault "); s.php("w/b.php", "2") }, faulty: "a.php", changed: "b.php", problem: "the new code of the function a is not taken: it is broken; the version that runs goes on"},
		{name: "half an executable", how: code, change: func(s *shelf) { s.write("w/e.sh", string(s.elf[:512]), 0o755) }, faulty: "e.sh", problem: "incomplete binary"},
		{name: "an executable without its interpreter", how: code, change: func(s *shelf) { s.write("w/s", "#!/no/such\n", 0o755) }, faulty: "s", problem: "the interpreter /no/such"},
		{name: "no directory", how: code, change: remove("w"), faulty: "a.php b.php e.sh p s", problem: ", want a directory with workers; what runs goes on"},
		{name: "no php", how: code, change: func(s *shelf) { s.asked.noPHP = errors.New("php is gone"); s.php("w/a.php", "2") }, faulty: "a.php b.php", problem: "php is gone, so no PHP file is taken as it is by now (a, b)"},
		{name: "a plugin removed", how: code, change: remove("w/p"), gone: "p"},
		{name: "an executable removed", change: remove("w/e.sh"), gone: "e.sh"},
		{name: "an executable that may not be executed", how: code, change: func(s *shelf) { s.write("w/e.sh", "text", 0o644) }, gone: "e.sh"},
		{name: "a function excluded", how: code, change: func(s *shelf) { s.set("exclude = up,a") }, gone: "a.php", changed: "p"},
		{name: "excluded while it is broken", how: code, change: func(s *shelf) { s.set("exclude = up,a"); s.write("w/p", "", 0o755); s.php("w/a.php", "fault ") }, gone: "a.php", changed: "p", faulty: "p", problem: "is empty"},
		{name: "a plugin becomes a script", how: code, change: func(s *shelf) { s.ini = strings.ReplaceAll(s.ini, "[p]\nmode = plugin", ""); s.script("w/p", "1") }, changed: "p"},
	}
}

func unsafeCases() []brokenCase {
	chmod := func(name string, mode os.FileMode) func(*shelf) {
		return func(s *shelf) {
			if err := os.Chmod(filepath.Join(s.dir, name), mode); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return []brokenCase{
		{name: "others may write to a plugin", how: lookAt{code: true}, change: chmod("w/p", 0o757), gone: "p", problem: "others may write"},
		{name: "others may write to a php file", how: lookAt{code: true}, change: chmod("w/a.php", 0o646), gone: "a.php", problem: "others may write"},
		{name: "others may write to the directory", change: chmod("w", 0o777), gone: "a.php b.php e.sh p s", problem: "others may write to the directory"},
	}
}

func heldCases() []brokenCase {
	return []brokenCase{
		{name: "a changed plugin", change: func(s *shelf) { s.plugin("w/p", "2", "sideways") }},
		{name: "a changed php file", change: func(s *shelf) { s.php("w/a.php", "2") }},
		{name: "a broken php file that is not looked at", change: func(s *shelf) { s.php("w/a.php", "fault ") }},
		{name: "a changed standalone worker", change: func(s *shelf) { s.script("w/s", "2") }},
		{name: "a changed executable", change: func(s *shelf) { s.script("w/e.sh", "2") }, changed: "e.sh"},
		{name: "a changed file that php depends on", change: func(s *shelf) { s.write("lib/x.inc", "1", 0o644) }, changed: "e.sh"},
		{name: "new programs", change: func(s *shelf) { s.php("w/n.php", "1"); s.plugin("w/q", "1", "new") }, changed: "n.php q"},
		{name: "a plugin becomes a script that is held back", change: func(s *shelf) { s.ini = strings.ReplaceAll(s.ini, "[p]\nmode = plugin", ""); s.script("w/p", "1") }},
	}
}

// set adds a line to the first section.
func (s *shelf) set(line string) {
	s.ini = strings.Replace(s.ini, "[GearmanManager]\n", "[GearmanManager]\n"+line+"\n", 1)
}

// link makes a symbolic link in place of what is there.
func (s *shelf) link(to, name string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.Symlink(to, path+".new"), os.Rename(path+".new", path)); err != nil {
		s.t.Fatal(err)
	}
}
