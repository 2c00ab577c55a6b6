package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// watching is a Watcher of real files.
type watching struct {
	*Watcher
	t *testing.T
}

// watch starts one that is quick, and that has looked at its paths.
func watch(t *testing.T, paths ...string) *watching {
	t.Helper()
	w := &watching{New(Config{Quiet: 20 * time.Millisecond, Longest: 200 * time.Millisecond, Rescan: time.Hour}), t}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Set(paths)
	w.next("the Change after Set")
	if reason := w.Polling(); reason != "" {
		t.Skip(reason)
	}
	return w
}

// next waits for a Change.
func (w *watching) next(what string) Change {
	w.t.Helper()
	return testutil.Receive(w.t, what, w.Changes())
}

// until waits until a Change names a path, and returns all paths that were named.
func (w *watching) until(what, path string) (named []string) {
	w.t.Helper()
	for !slices.Contains(named, path) {
		named = append(named, w.next(what+": "+path).Paths...)
	}
	return named
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// saves are the ways in which programs put new content into a file, by what does it so.
func saves() map[string]func(t *testing.T, path string) {
	beside := func(path, name string) string { return filepath.Join(filepath.Dir(path), name) }
	return map[string]func(*testing.T, string){
		"cp": func(t *testing.T, path string) { t.Helper(); file(t, "cp", path) },
		"mv": func(t *testing.T, path string) {
			t.Helper()
			must(t, os.Rename(file(t, "mv", t.TempDir(), "new"), path))
		},
		"rsync": func(t *testing.T, path string) {
			t.Helper()
			must(t, os.Rename(file(t, "rsync", beside(path, "."+filepath.Base(path)+".Xa81kQ")), path))
		},
		"vim": func(t *testing.T, path string) {
			t.Helper()
			must(t, os.Remove(file(t, "", beside(path, "4913"))))
			must(t, os.Rename(path, path+"~"))
			file(t, "vim", path)
			must(t, os.Remove(path+"~"))
		},
		"touch": func(t *testing.T, path string) { t.Helper(); must(t, os.Chtimes(path, time.Now(), time.Now())) },
		"chmod": func(t *testing.T, path string) { t.Helper(); must(t, os.Chmod(path, 0o755)) },
		"append": func(t *testing.T, path string) {
			t.Helper()
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString("more")
			must(t, err)
			must(t, f.Close())
		},
		"rm": func(t *testing.T, path string) { t.Helper(); must(t, os.Remove(path)) },
	}
}

// TestSaves: however a file gets new content, it is named, and nothing else is that is there for a moment.
func TestSaves(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"file", "directory", "glob"} {
		for name, save := range saves() {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := realDir(t)
				path := file(t, "old", dir, "resize.php")
				w := watch(t, map[string]string{"file": path, "directory": dir, "glob": filepath.Join(dir, "*.php")}[kind])
				save(t, path)
				if got := w.until(name, path); slices.ContainsFunc(got, func(p string) bool { return p != path }) {
					t.Errorf("named %v", got)
				}
				if name == "rm" {
					file(t, "again", path)
					w.until("made again", path)
				}
			})
		}
	}
}

// TestIgnored: what happens to files that are not meant brings no Change.
func TestIgnored(t *testing.T) {
	t.Parallel()
	for kind, names := range map[string][]string{
		"file":      {"manager.log", "config.ini.bak", ".config.ini.swp", "resize.php"},
		"glob":      {"manager.log", "resize.txt", "resize.php~", ".resize.php.swp"},
		"directory": {".hidden", "4913", "resize.php~", "resize.swp", ".resize.php.Xa81kQ", "#resize.php#"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := realDir(t)
			path := filepath.Join(dir, "config.ini")
			w := watch(t, map[string]string{"file": path, "directory": dir, "glob": filepath.Join(dir, "*.[ip][nh][ip]")}[kind])
			for _, name := range names {
				if kind == "glob" && name == "resize.php" {
					continue
				}
				must(t, os.Remove(file(t, "text", dir, name)))
			}
			file(t, "", path)
			if got := w.until("config", path); !slices.Equal(slices.Compact(got), []string{path}) {
				t.Errorf("named %v", got)
			}
		})
	}
}

// relink are the ways in which a symbolic link is switched.
func relink() map[string]func(t *testing.T, target, path string) {
	return map[string]func(*testing.T, string, string){
		"rename": func(t *testing.T, target, path string) {
			t.Helper()
			link(t, target, path+".new")
			must(t, os.Rename(path+".new", path))
		},
		"remove": func(t *testing.T, target, path string) {
			t.Helper()
			must(t, os.Remove(path))
			link(t, target, path)
		},
	}
}

// deploy makes two releases and a path to one of them that has a link at each level:
// way -> site (absolute), site/current -> stage, site/stage -> releases/1, releases/N/code -> src, src/workers -> lib.
func deploy(t *testing.T) (root, workers string) {
	t.Helper()
	root = realDir(t)
	for _, release := range []string{"1", "2"} {
		src := mkdir(t, root, "site", "releases", release, "src")
		file(t, release, mkdir(t, src, "lib"), "resize.php")
		file(t, release, mkdir(t, src, "lib2"), "resize.php")
		link(t, "src", filepath.Join(filepath.Dir(src), "code"))
		link(t, "lib", filepath.Join(src, "workers"))
	}
	mkdir(t, root, "site2", "current", "code", "workers")
	file(t, "site2", root, "site2/current/code/workers/resize.php")
	link(t, filepath.Join(root, "site"), filepath.Join(root, "way"))
	link(t, "stage", filepath.Join(root, "site", "current"))
	link(t, "releases/1", filepath.Join(root, "site", "stage"))
	return root, filepath.Join(root, "way", "current", "code", "workers")
}

// TestSwitchedLink: a link is seen to be switched at each level of a path, and then what is behind it is watched.
func TestSwitchedLink(t *testing.T) {
	t.Parallel()
	for name, change := range relink() {
		for at, target := range map[string]string{
			"way":                         "site2",
			"site/current":                "releases/2",
			"site/stage":                  "releases/../releases/2",
			"site/releases/1/code":        "../2/src",
			"site/releases/1/src/workers": "lib2",
		} {
			for _, inside := range []string{"", "resize.php", "*.php"} {
				t.Run(fmt.Sprint(name, "/", at, "/", inside), func(t *testing.T) {
					t.Parallel()
					root, workers := deploy(t)
					w := watch(t, workers+"/"+inside)
					path := filepath.Join(root, at)
					change(t, target, path)
					w.until("switched", path)
					w.written(realPath(t, workers, "resize.php"))
				})
			}
		}
	}
}

// realPath returns a path without symbolic links.
func realPath(t *testing.T, elem ...string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(filepath.Join(elem...))
	must(t, err)
	return path
}

// TestNowhere: a link that leads nowhere, in a circle or through a file is watched until it leads to something.
func TestNowhere(t *testing.T) {
	t.Parallel()
	root := realDir(t)
	current, plain := filepath.Join(root, "current"), file(t, "", root, "plain")
	link(t, "releases/1", current)
	w := watch(t, filepath.Join(current, "workers"))
	for i, target := range []string{"current", "plain", "releases/none", plain + "/x"} {
		relink()["rename"](t, target, current)
		w.until(fmt.Sprint("step ", i), current)
	}
	mkdir(t, root, "releases", "none", "workers")
	relink()["rename"](t, "releases/none", current)
	w.until("made", current)
	w.written(filepath.Join(root, "releases/none/workers/a.php"))
}

// TestLinkedFile: the file that an entry of a directory, or a match, links to is watched.
func TestLinkedFile(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"", "*.php", "a.php"} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			root := realDir(t)
			target := file(t, "", mkdir(t, root, "common"), "code.inc")
			workers := mkdir(t, root, "workers")
			link(t, "b.php", filepath.Join(workers, "a.php"))
			link(t, "../common/code.inc", filepath.Join(workers, "b.php"))
			w := watch(t, filepath.Join(workers, pattern))
			file(t, "new", target)
			w.until("target", target)
			must(t, os.Remove(target))
			w.until("removed target", target)
			file(t, "new", target)
			w.until("new target", target)
		})
	}
}

// TestMovedParent: a directory on the way, or at its end, is moved away and another put in its place.
func TestMovedParent(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"a", "a/b", "a/b/workers"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			root := realDir(t)
			workers := mkdir(t, root, "a", "b", "workers")
			w := watch(t, workers)
			at := filepath.Join(root, level)
			must(t, os.Rename(at, at+".old"))
			w.until("moved away", at)
			mkdir(t, workers)
			w.until("new one", at)
			w.written(filepath.Join(workers, "x.php"))
			must(t, os.RemoveAll(at))
			must(t, os.Rename(at+".old", at))
			w.until("moved back", at)
			w.written(filepath.Join(workers, "y.php"))
		})
	}
}

// TestRemade: a directory that is removed and made again at once, perhaps with the same inode, is watched.
func TestRemade(t *testing.T) {
	t.Parallel()
	workers := mkdir(t, realDir(t), "workers")
	w := watch(t, workers)
	for i := range 10 {
		must(t, os.RemoveAll(workers))
		mkdir(t, workers)
		w.until("made again", workers)
		w.written(filepath.Join(workers, fmt.Sprintf("x%d.php", i)))
	}
}

// TestLater: a path that is not there is watched when it is made, slowly and all at once.
func TestLater(t *testing.T) {
	t.Parallel()
	root := realDir(t)
	workers := filepath.Join(root, "a", "b", "workers")
	w := watch(t, workers)
	for _, dir := range []string{"a", "a/b", "a/b/workers"} {
		w.until("made", mkdir(t, root, dir))
	}
	w.written(filepath.Join(workers, "x.php"))
	must(t, os.RemoveAll(filepath.Join(root, "a")))
	w.until("removed", filepath.Join(root, "a"))
	mkdir(t, workers)
	file(t, "", workers, "early.php")
	w.until("made at once", filepath.Join(root, "a"))
	w.written(filepath.Join(workers, "x.php"))
}

// TestGlob: directories that match are watched, also later ones, and those that do not match are not.
func TestGlob(t *testing.T) {
	t.Parallel()
	root := realDir(t)
	one := mkdir(t, root, "site-one", "conf.d")
	mkdir(t, root, "other", "conf.d")
	w := watch(t, filepath.Join(root, "site-*", "conf.d", "*.ini"))
	w.until("there", file(t, "", one, "a.ini"))
	w.until("new directory", mkdir(t, root, "site-two"))
	two := mkdir(t, root, "site-two", "conf.d")
	w.until("its directory", two)
	file(t, "", root, "other", "conf.d", "a.ini")
	if got := w.until("later", file(t, "", two, "b.ini")); strings.Contains(strings.Join(got, " "), "other") {
		t.Errorf("named %v", got)
	}
	must(t, os.Rename(filepath.Join(root, "other"), filepath.Join(root, "site-other")))
	w.until("moved in", filepath.Join(root, "site-other"))
	w.written(filepath.Join(root, "site-other", "conf.d", "a.ini"))
}

// TestPatternInName: a directory whose name looks like a pattern, or like a broken one, is watched by its name.
func TestPatternInName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"app[1]", "app[", "what?", "a*"} {
		dir := mkdir(t, realDir(t), name, "workers")
		w := watch(t, dir)
		w.until(name, file(t, "", dir, "x.php"))
	}
}

// TestRelative: a relative path is one from the working directory, and ".." is meant as the kernel means it.
func TestRelative(t *testing.T) {
	root := realDir(t)
	t.Chdir(root)
	mkdir(t, root, "far", "away")
	link(t, "far/away", filepath.Join(root, "near"))
	w := watch(t, "x.ini", "near/../y.ini")
	w.until("relative", file(t, "", root, "x.ini"))
	w.until("dots", file(t, "", root, "far", "y.ini"))
}

// TestSetMeanwhile: paths can be changed while events come, and the Watcher be closed.
func TestSetMeanwhile(t *testing.T) {
	t.Parallel()
	root := realDir(t)
	var dirs []string
	for i := range 5 {
		dirs = append(dirs, mkdir(t, root, fmt.Sprint(i)))
	}
	w := watch(t, dirs...)
	done := make(chan struct{})
	for _, dir := range dirs {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 200 {
				path := filepath.Join(dir, fmt.Sprint(i))
				_ = os.WriteFile(path, nil, 0o600)
				_ = os.Rename(path, path+"x")
				w.Set(dirs[:i%len(dirs)])
				_ = w.Polling()
			}
		}()
	}
	for range dirs {
		testutil.Receive(t, "writers", done)
	}
	w.Set(dirs)
	for _, dir := range dirs {
		w.written(filepath.Join(dir, "last"))
	}
}
