package manager

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// health is what a test knows of a file.
type health string

const (
	absent  health = "absent"
	healthy health = "healthy"
	broken  health = "broken"
	// unwanted is a file that is there and may not be run, or is no program.
	unwanted health = "unwanted"
)

// garden is a shelf whose files are changed at random.
type garden struct {
	*shelf
	rand  *rand.Rand
	state map[string]health
	away  bool // the directory is not there
}

// TestRandomEdits: after each of many changes, programs are what a fresh start would find, and those that are broken are as they were.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := &garden{shelf: setupShelf(t), rand: rand.New(rand.NewPCG(seed, 1)), state: map[string]health{}}
	var running []Program
	for step := range 150 {
		what := g.edit()
		next, _ := g.look(running, lookAt{code: true, settled: step%20 == 0, again: step%7 == 0})
		fresh, _ := g.newLibrary(g.lib.store).look(t.Context(), g.config(), nil, lookAt{code: true})
		g.check(running, next, fresh)
		if step%10 == 0 {
			g.lib.prune(&Plan{})
		}
		if t.Failed() {
			t.Fatalf("in step %d: %s", step, what)
		}
		running = next
	}
}

// edit changes something.
func (g *garden) edit() string {
	name := []string{"p", "q", "a.php", "b.php", "c.php", "e.sh", "s"}[g.rand.IntN(7)]
	path := filepath.Join(g.dir, "w", name)
	kind := map[bool]string{true: ".php"}[filepath.Ext(name) == ".php"]
	what := g.rand.IntN(20)
	if g.away && what < 18 {
		what = 18
	}
	switch {
	case what < 7:
		g.good(name, kind)
		return "good " + name
	case what < 10:
		g.bad(name, kind)
		return "bad " + name
	case what < 12:
		_ = os.Remove(path) // it may not be there
		g.state[name] = absent
		return "removed " + name
	case what < 14 && g.state[name] != absent && g.state[name] != "":
		g.must(os.Chmod(path, 0o757))
		g.state[name] = unwanted
		return "unsafe " + name
	case what < 16:
		g.write("lib/x.inc", []string{"1", "2", "3"}[g.rand.IntN(3)], 0o644)
		return "lib"
	case what < 18:
		g.ini = shelfIni
		if g.rand.IntN(2) == 0 {
			g.set("exclude = " + []string{"up", "a", "q1", "e"}[g.rand.IntN(4)])
		}
		return "config"
	default:
		from, to := "w", "w.away"
		if g.away {
			from, to = to, from
		}
		g.must(os.Rename(filepath.Join(g.dir, from), filepath.Join(g.dir, to)))
		g.away = !g.away
		return "directory"
	}
}

func (g *garden) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// good writes a version of a program that can be run.
func (g *garden) good(name, kind string) {
	version := []string{"1", "2", "3"}[g.rand.IntN(3)]
	switch {
	case name == "p":
		g.plugin("w/p", version, [][]string{{"up"}, {"up", "down"}}[g.rand.IntN(2)]...)
	case name == "q":
		g.plugin("w/q", version, "q1", "q2")
	case kind == ".php":
		g.php("w/"+name, version)
	default:
		g.script("w/"+name, version)
	}
	g.state[name] = healthy
}

// bad writes one that cannot.
func (g *garden) bad(name, kind string) {
	if kind == ".php" {
		g.php("w/"+name, "fault ")
	} else {
		g.write("w/"+name, []string{"", "text", string(g.elf[:900])}[g.rand.IntN(3)], 0o755)
	}
	g.state[name] = broken
}

// check compares what was found with what a fresh start finds and what ran.
func (g *garden) check(running, next, fresh []Program) {
	g.t.Helper()
	byName := func(programs []Program, name string) *Program {
		i := slices.IndexFunc(programs, func(p Program) bool { return filepath.Base(p.Named) == name })
		if i < 0 {
			return nil
		}
		return &programs[i]
	}
	for name, state := range g.state {
		ran, now, would := byName(running, name), byName(next, name), byName(fresh, name)
		switch {
		case state == broken || g.away:
			g.checkKept(name, ran, now, would)
		case (state == absent || state == unwanted) && now != nil:
			g.t.Errorf("%s is %s, and runs", name, state)
		default:
			if diff := cmp.Diff(would, now); diff != "" {
				g.t.Errorf("%s (-fresh +now):\n%s", name, diff)
			}
		}
	}
	if len(next) > len(g.state) {
		g.t.Errorf("there are more programs than files: %v", names(next))
	}
}

// checkKept wants a program that is broken to be as it was, as far as the config lets it.
func (g *garden) checkKept(name string, ran, now, would *Program) {
	g.t.Helper()
	if would != nil && !would.Broken {
		g.t.Errorf("%s is broken, and a fresh start would take it", name)
	}
	cfg := g.config()
	excluded := ran != nil && !slices.ContainsFunc(ran.Functions, cfg.Included)
	switch {
	case ran == nil || ran.Broken || excluded:
		if now != nil && !now.Broken {
			g.t.Errorf("%s runs, and did not", name)
		}
	case now == nil:
		g.t.Errorf("%s is gone", name)
	case now.Hash != ran.Hash || now.Run != ran.Run || now.Path != ran.Path || now.Fault == "":
		g.t.Errorf("%s (-ran +now):\n%s", name, cmp.Diff(ran, now))
	case now.Run != "":
		if _, err := os.Stat(now.Run); errors.Is(err, os.ErrNotExist) {
			g.t.Errorf("the copy of %s is gone", name)
		}
	}
}

// BenchmarkLook is a look at a hundred programs of which none has changed.
func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	s := &shelf{t: b, dir: dir, ini: "[GearmanManager]\nworker_dir = DIR/w\n"}
	if err := os.Mkdir(filepath.Join(dir, "w"), 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		ext, text, mode := ".php", "<?php", os.FileMode(0o644)
		if i%2 == 0 {
			ext, text, mode = ".sh", "#!/bin/sh\n", 0o755
		}
		if err := os.WriteFile(filepath.Join(dir, "w", string(rune('a'+i/26))+string(rune('a'+i%26))+ext), []byte(text), mode); err != nil {
			b.Fatal(err)
		}
	}
	cfg := s.config()
	l := newLibrary(nil, s, s, func(Event) {})
	running, problems := l.look(b.Context(), cfg, nil, lookAt{code: true})
	if len(running) != 100 || problems != nil {
		b.Fatal(len(running), problems)
	}
	for b.Loop() {
		running, _ = l.look(b.Context(), cfg, running, lookAt{code: true, settled: true})
	}
}
