package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// TestQuiet: a Change comes when nothing has happened for the time that is quiet, and names what happened.
func TestQuiet(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		b.fake.write(b.file("b"))
		b.none(200 * time.Millisecond)
		b.fake.write(b.file("a"))
		b.fake.write(b.file("a"))
		c, took := b.next(time.Second)
		if took != 300*time.Millisecond || !slices.Equal(c.Paths, []string{b.file("a"), b.file("b")}) || c.Rescan || c.More {
			b.t.Errorf("%+v after %v", c, took)
		}
		b.none(20 * time.Second)
	})
}

// TestLongest: a burst that does not end gives a Change every 5 s, and one at its end.
func TestLongest(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		began := time.Now()
		var came []time.Duration
		for i := range 299 {
			b.fake.write(b.file(fmt.Sprint(i)))
			select {
			case c := <-b.Changes():
				if !c.Rescan {
					came = append(came, time.Since(began))
				}
			case <-time.After(100 * time.Millisecond):
			}
		}
		if _, took := b.next(time.Second); took > 300*time.Millisecond {
			b.t.Errorf("last Change after %v", took)
		}
		if len(came) != 5 || came[0] != 5*time.Second {
			b.t.Errorf("Changes at %v", came)
		}
	})
}

// TestFew: 200 changes in 10 s are few Changes, and the last comes after the last change.
func TestFew(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		changes := 0
		for i := range 200 {
			b.fake.write(b.file(fmt.Sprint(i)))
			select {
			case <-b.Changes():
				changes++
			case <-time.After(50 * time.Millisecond):
			}
		}
		b.next(time.Second)
		if changes != 1 {
			b.t.Errorf("%d Changes and one, want 1 and one", changes)
		}
	})
}

// TestMerged: who receives late receives one Change with all paths.
func TestMerged(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		for _, name := range []string{"b", "a", "b"} {
			b.fake.write(b.file(name))
			pass(time.Second)
		}
		pass(time.Minute)
		if c, _ := b.next(time.Millisecond); !slices.Equal(c.Paths, []string{b.file("a"), b.file("b")}) || c.Rescan || c.More {
			b.t.Errorf("%+v", c)
		}
	})
}

// TestMore: a Change names so many paths, and says that there were more, in one burst and in merged ones.
func TestMore(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		for i := range maxPaths {
			b.fake.write(b.file(fmt.Sprintf("a%d", i)))
		}
		if c, _ := b.next(time.Second); len(c.Paths) != maxPaths || c.More {
			b.t.Errorf("%+v", c)
		}
		for _, letter := range []string{"a", "b"} {
			for i := range maxPaths {
				b.fake.write(b.file(fmt.Sprintf("%s%d", letter, i)))
			}
			pass(time.Second)
		}
		if c, _ := b.next(time.Millisecond); len(c.Paths) != maxPaths || !c.More {
			b.t.Errorf("merged: %+v", c)
		}
		for i := range 10 * maxPaths {
			b.fake.ev <- fsnotify.Event{Name: b.file(fmt.Sprint(i)), Op: fsnotify.Remove}
		}
		if c, _ := b.next(time.Second); len(c.Paths) != maxPaths || !c.More {
			b.t.Errorf("one burst: %+v", c)
		}
	})
}

// TestOverflow: when events were lost, a Change comes at once.
func TestOverflow(t *testing.T) {
	t.Parallel()
	for _, lost := range []error{fsnotify.ErrEventOverflow, fmt.Errorf("rm_watch: %w", unix.EINVAL)} {
		bubble(t, func(b *bundle) {
			b.fake.write(b.file("a"))
			b.fake.er <- lost
			c, took := b.next(time.Second)
			if took != 0 || !c.More || c.Rescan {
				b.t.Errorf("%v: %+v after %v", lost, c, took)
			}
			if b.Polling() != "" {
				b.t.Errorf("%v: %s", lost, b.Polling())
			}
		})
	}
}

// TestRescan: Changes come at intervals, and one that an event brought as well is not called a rescan.
func TestRescan(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		b.next(time.Minute)
		for range 3 {
			if c, took := b.next(time.Minute); took != 30*time.Second || !c.Rescan || len(c.Paths) > 0 {
				b.t.Errorf("%+v after %v", c, took)
			}
		}
		pass(time.Hour)
		if c, _ := b.next(time.Millisecond); !c.Rescan {
			b.t.Errorf("merged: %+v", c)
		}
		pass(time.Minute)
		b.fake.write(b.file("a"))
		pass(time.Second)
		if c, _ := b.next(time.Millisecond); c.Rescan || len(c.Paths) != 1 {
			b.t.Errorf("merged with an event: %+v", c)
		}
	})
}

// TestIdle: nothing is done between rescans, however much happens that does not count.
func TestIdle(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		before := b.fake.added()
		for range 1000 {
			b.fake.write(filepath.Join(filepath.Dir(b.dir), "some.log"))
			b.fake.write(b.file(".hidden"))
		}
		b.none(25 * time.Second)
		if now := b.fake.added(); now != before {
			b.t.Errorf("%d directories added", now-before)
		}
	})
}

// TestSet: new directories bring a Change, the same ones none, and what is not wanted is not watched any more.
func TestSet(t *testing.T) {
	t.Parallel()
	other := realDir(t)
	bubble(t, func(b *bundle) {
		b.Set([]string{b.dir, b.dir})
		b.none(time.Second)
		b.Set([]string{other})
		b.next(time.Second)
		if got := b.fake.watches(b.dir); len(got) != 0 {
			b.t.Errorf("%v are watched still", got)
		}
		b.fake.write(b.file("a"))
		b.none(time.Second)
		b.Set([]string{other, filepath.Join(other, "*.ini")})
		b.none(time.Second)
		b.Set(nil)
		b.none(time.Second)
		if got := b.fake.watches("/"); len(got) != 0 {
			b.t.Errorf("%v are watched still", got)
		}
	})
}

// TestFullTable: with no room for watches the Watcher says so once, watches what is needed first, and tries again.
func TestFullTable(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		below := mkdir(b.t, b.dir, "sub")
		b.fake.set(func(string) error { return unix.ENOSPC })
		b.Set([]string{b.dir, below})
		b.next(time.Minute)
		for _, want := range []string{"fs.inotify.max_user_watches", "every 30s"} {
			if !strings.Contains(b.Polling(), want) {
				b.t.Errorf("%q does not say %s", b.Polling(), want)
			}
		}
		pass(10 * time.Minute)
		if len(b.problems) != 1 {
			b.t.Fatalf("told of %v", b.problems)
		}
		if limit, ok := errors.AsType[*LimitError](b.problems[0]); !ok || limit.Sysctl != "fs.inotify.max_user_watches" || !errors.Is(limit, unix.ENOSPC) {
			b.t.Errorf("told of %v", b.problems[0])
		}
		b.fake.set(func(string) error { return nil })
		b.next(time.Minute)
		b.next(time.Minute)
		if b.Polling() != "" {
			b.t.Errorf("still: %s", b.Polling())
		}
		if got := b.fake.watches(b.dir); !slices.Equal(got, []string{".", "sub"}) {
			b.t.Errorf("watched: %v", got)
		}
		b.fake.set(func(string) error { return unix.ENOSPC })
		b.next(time.Minute)
		if len(b.problems) != 2 {
			b.t.Errorf("told of %v", b.problems)
		}
	})
}

// TestNeededFirst: with little room the directories that are steps on the way are not watched.
func TestNeededFirst(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		deep := mkdir(b.t, b.dir, "a", "b", "c")
		b.fake.set(func(dir string) error {
			if dir != deep {
				return unix.ENOSPC
			}
			return nil
		})
		b.Set([]string{deep})
		b.next(time.Second)
		if got := b.fake.watches(b.dir); !slices.Contains(got, "a/b/c") {
			b.t.Errorf("watched: %v", got)
		}
	})
}

// TestUnreadable: a directory on the way that cannot be read is no problem, one that is watched is.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		b.fake.set(func(dir string) error {
			if dir == filepath.Dir(b.dir) {
				return unix.EACCES
			}
			return nil
		})
		b.next(time.Minute)
		if b.Polling() != "" {
			b.t.Error(b.Polling())
		}
		b.fake.set(func(string) error { return unix.EACCES })
		b.next(time.Minute)
		if !strings.Contains(b.Polling(), b.dir) || len(b.problems) != 1 {
			b.t.Errorf("%q, told of %v", b.Polling(), b.problems)
		}
	})
}

// opening runs a test with a Watcher whose notifiers open makes.
func opening(t *testing.T, open func() (notifier, error), test func(b *bundle)) {
	t.Helper()
	dir := realDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := &bundle{t: t, dir: dir}
		b.Watcher = New(Config{open: open, OnProblem: func(err error) { b.problems = append(b.problems, err) }})
		defer func() { _ = b.Close() }()
		b.Set([]string{dir})
		test(b)
	})
}

// TestNoInstance: without notifications only rescans come, the reason is told once, and each rescan tries again.
func TestNoInstance(t *testing.T) {
	t.Parallel()
	f, tried := newFake(), 0
	f.ev, f.er = nil, nil
	open := func() (notifier, error) {
		if tried++; tried < 4 {
			return nil, unix.EMFILE
		}
		f.ev, f.er = make(chan fsnotify.Event), make(chan error)
		return f, nil
	}
	opening(t, open, func(b *bundle) {
		if !strings.Contains(b.Polling(), "fs.inotify.max_user_instances") {
			b.t.Errorf("at once: %q", b.Polling())
		}
		for range 2 {
			if c, took := b.next(time.Minute); !c.Rescan || took != 30*time.Second {
				b.t.Errorf("%+v after %v", c, took)
			}
		}
		b.next(time.Minute)
		if tried != 4 || b.Polling() != "" || len(b.problems) != 1 {
			b.t.Errorf("%d tries, %q, told of %v", tried, b.Polling(), b.problems)
		}
		f.write(b.file("a"))
		if c, _ := b.next(time.Second); len(c.Paths) != 1 {
			b.t.Errorf("%+v", c)
		}
	})
}

// TestNoInotify: a system without it is said to have none.
func TestNoInotify(t *testing.T) {
	t.Parallel()
	opening(t, func() (notifier, error) { return nil, os.NewSyscallError("inotify_init1", unix.ENOSYS) }, func(b *bundle) {
		b.next(time.Minute)
		if !strings.Contains(b.Polling(), "function not implemented") || len(b.problems) != 1 {
			b.t.Errorf("%q, told of %v", b.Polling(), b.problems)
		}
	})
}

// TestBroken: after an error that events do not survive, there is a new notifier at the next rescan.
func TestBroken(t *testing.T) {
	t.Parallel()
	var fakes []*fake
	open := func() (notifier, error) {
		fakes = append(fakes, newFake())
		return fakes[len(fakes)-1], nil
	}
	opening(t, open, func(b *bundle) {
		b.next(time.Second)
		fakes[0].er <- errors.New("bad descriptor")
		if c, took := b.next(time.Second); took != 0 || !c.More {
			b.t.Errorf("%+v after %v", c, took)
		}
		if !strings.Contains(b.Polling(), "bad descriptor") || len(b.problems) != 1 {
			b.t.Errorf("%q, told of %v", b.Polling(), b.problems)
		}
		b.next(time.Minute)
		if b.Polling() != "" || len(fakes) != 2 {
			b.t.Fatalf("%q, %d notifiers", b.Polling(), len(fakes))
		}
		fakes[1].write(b.file("a"))
		if c, _ := b.next(time.Second); len(c.Paths) != 1 {
			b.t.Errorf("%+v", c)
		}
	})
}

// TestClose: a Watcher can be closed twice, in the middle of a burst, and its channel is closed.
func TestClose(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		b.fake.write(b.file("a"))
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			b.t.Error(err)
		}
		if c, ok := <-b.Changes(); ok {
			b.t.Errorf("%+v", c)
		}
		b.Set([]string{"/"})
	})
}

// TestCloseStuck: a file system that does not answer does not hold up who closes.
func TestCloseStuck(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		answer := make(chan struct{})
		b.fake.set(func(string) error { <-answer; return nil })
		pass(time.Minute)
		if err := b.Close(); !errors.Is(err, ErrBusy) {
			b.t.Errorf("%v", err)
		}
		close(answer)
	})
}

// TestReplacedMeanwhile: a link that is switched before its directory is watched, but after it was looked at, is seen.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bundle) {
		current := b.file("current")
		b.Set([]string{current})
		b.none(time.Second)
		mkdir(b.t, b.dir, "1")
		mkdir(b.t, b.dir, "2")
		sub := mkdir(b.t, b.dir, "sub")
		link(b.t, "../1", filepath.Join(sub, "link"))
		link(b.t, "sub/link", current)
		b.fake.set(func(dir string) error {
			if target, _ := os.Readlink(filepath.Join(sub, "link")); dir == sub && target == "../1" {
				relink()["rename"](b.t, "../2", filepath.Join(sub, "link"))
			}
			return nil
		})
		b.fake.write(current)
		b.next(time.Second)
		if got := b.fake.watches(b.dir); !slices.Equal(got, []string{".", "2", "sub"}) {
			b.t.Errorf("watched: %v", got)
		}
	})
}
