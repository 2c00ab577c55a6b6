package manager

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/content"
)

// TestWatch: a file that a function's watch names counts as a part of its program.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.fill()
	s.write("lib/a.inc", "1", 0o644)
	s.write("s.conf", "1", 0o644)
	code := lookAt{code: true, settled: true}
	all := "a.php b.php e.sh p"
	before, _ := s.look(nil, code)
	if p := of(t, before, "p"); p.Hash == p.FileHash {
		t.Error("the hash of a program does not cover the files that it depends on")
	}
	for _, c := range []struct {
		name    string
		change  func()
		changed string
	}{
		{"nothing", func() {}, ""},
		{"another content", func() { s.write("lib/a.inc", "2", 0o644) }, all},
		{"the same content", func() { s.write("lib/a.inc", "2", 0o644) }, ""},
		{"a new file", func() { s.write("lib/b.inc", "1", 0o644) }, all},
		{"a file that is not named", func() { s.write("lib/b.txt", "1", 0o644) }, ""},
		{"an editor's file", func() { s.write("lib/.b.inc", "1", 0o644); s.write("lib/b.inc~", "1", 0o644) }, ""},
		{"another name", func() { _ = os.Rename(filepath.Join(s.dir, "lib/b.inc"), filepath.Join(s.dir, "lib/c.inc")) }, all},
		{"a file removed", func() { _ = os.Remove(filepath.Join(s.dir, "lib/c.inc")) }, all},
		{"one function's own", func() { s.write("s.conf", "2", 0o644) }, "s"},
	} {
		c.change()
		after, problems := s.look(before, code)
		var changed []string
		for _, p := range after {
			if p.Hash != of(t, before, filepath.Base(p.Named)).Hash {
				changed = append(changed, filepath.Base(p.Named))
			}
		}
		if got := strings.Join(changed, " "); got != c.changed || problems != nil {
			t.Errorf("%s: changed %q, want %q; problems %v", c.name, got, c.changed, problems)
		}
		before = after
	}
}

// TestWatchADirectory: it stands for the files in it. One that names too many files says so, and looks at no more.
func TestWatchADirectory(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.php("w/a.php", "1")
	s.ini = "[GearmanManager]\nworker_dir = DIR/w\nwatch = DIR/lib\n"
	before, _ := s.look(nil, lookAt{code: true})
	s.write("lib/any", "1", 0o644)
	after, _ := s.look(before, lookAt{code: true})
	if before[0].Hash == after[0].Hash {
		t.Error("a new file in the directory is not noticed")
	}
	for i := range maxWatchedFiles + 1 {
		if err := os.WriteFile(filepath.Join(s.dir, "lib", fmt.Sprintf("z%04d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, problems := s.look(after, lookAt{code: true})
	if len(problems) != 1 || !strings.Contains(problems[0].String(), "names more than 4096 files or 256M") || problems[0].Severity != config.Warning {
		t.Errorf("problems %v", problems)
	}
}

// TestDoubt: what was found broken is looked at again after a while, when somebody asks, and when the file that is to blame is another.
func TestDoubt(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.write("w/p", string(s.elf), 0o755)
	s.write("lib/x.php", "1", 0o644)
	s.php("w/a.php", "fault "+s.dir+"/lib/x.php")
	code := lookAt{code: true}
	look := func(how lookAt, plugins, files int) {
		t.Helper()
		_, problems := s.look(nil, how)
		if described, inspected := s.questions(); len(described) != plugins || len(inspected) != files || len(problems) != 2 {
			t.Errorf("described %v, inspected %v; problems %v", described, inspected, problems)
		}
	}
	look(code, 1, 1)
	look(code, 0, 0)
	look(lookAt{code: true, again: true}, 1, 1)
	s.now = s.now.Add(doubt - time.Second)
	look(code, 0, 0)
	s.write("lib/x.php", "2", 0o644)
	look(code, 0, 1)
	s.now = s.now.Add(time.Second)
	look(code, 1, 0)
	s.now = s.now.Add(doubt)
	look(code, 1, 1)
}

// TestOtherInterpreter: what one php has found good, another one looks at.
func TestOtherInterpreter(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.php("w/a.php", "1")
	s.script("php", "1")
	s.set("php = DIR/php")
	for i, change := range []func(){func() {}, func() { s.script("php", "2") }, func() { s.set("php_args = -n") }} {
		change()
		for range 2 {
			s.look(nil, lookAt{code: true})
		}
		if _, inspected := s.questions(); len(inspected) != 1 {
			t.Errorf("%d: inspected %v, want it once", i, inspected)
		}
	}
}

// TestSwitchedLink: a deployment is another directory behind the same name, and may be gone for a moment.
func TestSwitchedLink(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.ini = strings.Replace(s.ini, "DIR/w", "DIR/current/w", 1)
	for _, release := range []string{"1", "2"} {
		if err := os.MkdirAll(filepath.Join(s.dir, "release"+release, "w"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.php("release"+release+"/w/a.php", release)
		s.plugin("release"+release+"/w/p", "1.0", "up", "down")
	}
	s.link("release1", "current")
	code := lookAt{code: true, settled: true}
	first, _ := s.look(nil, code)
	s.link("release3", "current")
	during, problems := s.look(first, code)
	if len(problems) != 1 || !slices.Equal(names(during), names(first)) || during[0].Path != first[0].Path {
		t.Errorf("while the link leads nowhere: %v, problems %v", names(during), problems)
	}
	s.link("release2", "current")
	held, _ := s.look(during, lookAt{})
	if of(t, held, "a.php").Path != of(t, first, "a.php").Path || of(t, held, "p").Path != of(t, first, "p").Path {
		t.Errorf("code is taken that is to be held back: %+v", held)
	}
	second, problems := s.look(during, code)
	if problems != nil {
		t.Error(problems)
	}
	a, b := sharedPlan(t, s, first), sharedPlan(t, s, second)
	for i := range a.Pools {
		if a.Pools[i].key() != b.Pools[i].key() {
			t.Errorf("%s is another pool", a.Pools[i].Name)
		}
		reasons, changes := rollReasons(&a.Pools[i], &b.Pools[i]), changesOf(&a.Pools[i], &b.Pools[i])
		if php := a.Pools[i].Kind == KindPHP; (len(reasons) > 0) != php || len(changes) == 0 {
			t.Errorf("%s: %q, because of %q", a.Pools[i].Name, changes, reasons)
		}
	}
}

// sharedPlan plans programs, with shared pools.
func sharedPlan(t *testing.T, s *shelf, programs []Program) *Plan {
	t.Helper()
	cfg, _ := config.Parse("config.ini", []byte(strings.ReplaceAll(s.ini, "DIR", s.dir)), config.Overrides{{Flag: "-D", Key: "count", Value: "2"}})
	plan, problems := NewPlan(cfg, programs)
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	return plan
}

// TestUnfinishedCopy: a look waits until a file that is being written is complete. It is tried again where the writer was held up for so long that the file
// looked complete.
func TestUnfinishedCopy(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.fill()
	running, _ := s.look(nil, lookAt{code: true})
	path := filepath.Join(s.dir, "w/a.php")
	for range 100 {
		before := readText(t, path)
		done := make(chan pauses, 1)
		go func() { done <- appendFor(path, 5*settlePause) }()
		for readText(t, path) == before {
			<-time.After(time.Millisecond)
		}
		taken, problems := s.look(running, lookAt{code: true, settled: true})
		wrote := <-done
		if wrote.err != nil {
			t.Fatal(wrote.err)
		}
		complete, more := s.look(taken, lookAt{code: true})
		if wrote.longest < settlePause*4/5 {
			if diff := cmp.Diff(complete, taken); diff != "" || problems != nil || more != nil {
				t.Errorf("%v (-complete +taken):\n%s", problems, diff)
			}
			return
		}
		running = complete
	}
	t.Error("the writer was held up each time")
}

// TestNeverFinished: a look does not wait for ever, and goes on with the rest. As above, it is tried again where the writer was held up.
func TestNeverFinished(t *testing.T) {
	t.Parallel()
	for range 10 {
		if neverFinished(t) {
			return
		}
	}
	t.Error("the writer was held up each time")
}

// neverFinished tells whether the writer wrote all the time.
func neverFinished(t *testing.T) bool {
	t.Helper()
	s := setupShelf(t)
	s.fill()
	first, _ := s.look(nil, lookAt{code: true})
	path := filepath.Join(s.dir, "w/a.php")
	done := make(chan pauses, 1)
	go func() { done <- appendFor(path, settleLimit+2*time.Second) }()
	s.php("w/b.php", "2")
	for text := readText(t, path); text == "<?php 1"; text = readText(t, path) {
		<-time.After(time.Millisecond)
	}
	began := time.Now()
	second, found := s.look(first, lookAt{code: true, settled: true})
	if took := time.Since(began); took > 10*settleLimit {
		t.Errorf("it took %v", took)
	}
	wrote := <-done
	if wrote.err != nil {
		t.Fatal(wrote.err)
	}
	if wrote.longest >= settlePause*4/5 {
		return false
	}
	a, b := of(t, second, "a.php"), of(t, second, "b.php")
	if len(found) != 1 || !strings.Contains(found[0].Message, "is still being written") || a.Fault == "" || a.Hash != of(t, first, "a.php").Hash || b.Hash == of(t, first, "b.php").Hash {
		t.Errorf("%v, %+v, %+v", found, a, b)
	}
	third, problems := s.look(second, lookAt{code: true, settled: true})
	if a := of(t, third, "a.php"); problems != nil || a.Fault != "" || a.Hash == of(t, first, "a.php").Hash {
		t.Errorf("%v, %+v", problems, a)
	}
	return true
}

// pauses says how a writer did.
type pauses struct {
	longest time.Duration // between two writes
	err     error
}

// appendFor appends to a file again and again, for so long.
func appendFor(path string, d time.Duration) (p pauses) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return pauses{err: err}
	}
	last := time.Now()
	for end := last.Add(d); time.Now().Before(end) && p.err == nil; <-time.After(settlePause / 10) {
		_, p.err = file.WriteString("\n// more")
		p.longest, last = max(p.longest, time.Since(last)), time.Now()
	}
	p.err = errors.Join(p.err, file.Close())
	return p
}

// TestPrune leaves the copies that are used.
func TestPrune(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	var plans []*Plan
	var runs []string
	var programs []Program
	for version := range 4 {
		s.plugin("w/p", fmt.Sprint(version), "up")
		programs, _ = s.look(programs, lookAt{code: true})
		plans, runs = append(plans, sharedPlan(t, s, programs)), append(runs, programs[0].Run)
	}
	s.lib.prune(plans[1])
	for i, run := range runs {
		if _, err := os.Stat(run); (err == nil) != (i == 1 || i == 3) {
			t.Errorf("copy %d: %v", i, err)
		}
	}
	s.plugin("w/p", "0", "up")
	if programs, _ = s.look(programs, lookAt{code: true}); !strings.HasSuffix(readText(t, programs[0].Run), "says 0 up") {
		t.Error("a copy that was removed is not made again")
	}
}

// TestInPlace: a plugin whose copy cannot be kept runs in place, which is said once.
func TestInPlace(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	copies := filepath.Join(s.dir, "none")
	store, err := content.OpenStore(copies)
	if err != nil {
		t.Fatal(err)
	}
	s.lib = s.newLibrary(store)
	if err := os.Remove(copies); err != nil {
		t.Fatal(err)
	}
	s.plugin("w/p", "1", "up")
	programs, problems := s.look(nil, lookAt{code: true})
	programs, _ = s.look(programs, lookAt{code: true})
	if p := programs[0]; p.Run != "" || p.Hash == "" || problems != nil {
		t.Errorf("%+v; problems %v", p, problems)
	}
	if e, ok := s.events[0].(PluginInPlace); !ok || len(s.events) != 1 || e.Program != programs[0].Path || e.Err == nil {
		t.Errorf("events %v", s.events)
	}
	if err := os.Mkdir(copies, 0o700); err != nil {
		t.Fatal(err)
	}
	if programs, _ = s.look(programs, lookAt{code: true}); programs[0].Run == "" {
		t.Error("it does not run from a copy where there can be one again")
	}
}

// TestWatched names what a look depends on.
func TestWatched(t *testing.T) {
	t.Parallel()
	s := setupShelf(t)
	s.php("lib/real.php", "1")
	s.link(filepath.Join(s.dir, "lib/real.php"), "w/a.php")
	s.ini += "[tool]\ncommand = DIR/tool -x\n[echo]\ncommand = sh -c true\n"
	cfg := s.config()
	got := s.lib.watched(cfg)
	for _, want := range []string{"w", "w/a.php", "lib/*.inc", "s.conf", "tool"} {
		if !slices.Contains(got, filepath.Join(s.dir, want)) {
			t.Errorf("%s is not watched, but %q", want, got)
		}
	}
	if sh, err := findCommand("sh"); err != nil || !slices.Contains(got, sh) {
		t.Errorf("sh is not watched (%v), but %q", err, got)
	}
}
