package content

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// open opens a store in a directory that is not there yet.
func open(t *testing.T) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "state", "programs"))
	must(t, err)
	return s
}

// put puts a program and wants its content in the copy.
func put(t *testing.T, s *Store, path, text string) Copy {
	t.Helper()
	c, err := s.Put(path)
	must(t, err)
	wantCopy(t, c, text)
	return c
}

// wantCopy wants a copy to be there with a content, and to be as a copy has to be.
func wantCopy(t *testing.T, c Copy, text string) {
	t.Helper()
	got, err := os.ReadFile(c.Path)
	must(t, err)
	info, err := os.Lstat(c.Path)
	must(t, err)
	if string(got) != text || c.Hash != hashed(text) || info.Mode() != 0o500 {
		t.Errorf("%s: %q, hash %s, mode %v, want %q", c.Path, got, c.Hash, info.Mode(), text)
	}
}

// inode returns which file a path is.
func inode(t *testing.T, path string) stamp {
	t.Helper()
	at, err := look(path)
	must(t, err)
	return at
}

// TestPut: a copy has the content of its program, is named for both, and stays when the program changes.
func TestPut(t *testing.T) {
	t.Parallel()
	s := open(t)
	path := file(t, "one", t.TempDir(), "resize")
	one := put(t, s, path, "one")
	if base := filepath.Base(one.Path); base != "resize-"+hashed("one") {
		t.Errorf("named %s", base)
	}
	file(t, "two", path)
	two := put(t, s, path, "two")
	wantCopy(t, one, "one")
	file(t, "one", path)
	before := inode(t, one.Path)
	if again := put(t, s, path, "one"); again != one || inode(t, one.Path) != before {
		t.Errorf("%v was copied anew as %v", one, again)
	}
	if again := put(t, s, two.Path, "two"); again.Hash != two.Hash {
		t.Errorf("copy of a copy: %v", again)
	}
}

// TestPutLarge: what takes many pieces is complete.
func TestPutLarge(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789abcde\n", (3*piece+100)/16)
	put(t, open(t), file(t, text, t.TempDir(), "f"), text)
	put(t, open(t), file(t, "", t.TempDir(), "f"), "")
}

// TestPutNames: whatever a program is called, its copy has a name that is valid and not hidden.
func TestPutNames(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, name := range []string{".hidden", "...", strings.Repeat("n", 255), "a b\n", temporary + "x", "-" + hashed("x")} {
		c := put(t, s, file(t, name, t.TempDir(), name), name)
		if strings.HasPrefix(filepath.Base(c.Path), ".") {
			t.Errorf("%q is hidden", c.Path)
		}
	}
	must(t, s.Keep(nil))
	if left := names(t, s.dir); len(left) != 0 {
		t.Errorf("%v stay", left)
	}
}

// TestPutLink: a program that is a link is copied, not the link.
func TestPutLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file(t, "text", dir, "target")
	must(t, os.Symlink("target", filepath.Join(dir, "link")))
	put(t, open(t), filepath.Join(dir, "link"), "text")
}

// TestSpoiled: a copy whose content is not what its name says is not used, by the process that made it and by the next.
func TestSpoiled(t *testing.T) {
	t.Parallel()
	path := file(t, "text", t.TempDir(), "f")
	for what, spoil := range map[string]func(path string) error{
		"torn":    func(path string) error { return os.Truncate(path, 2) },
		"other":   func(path string) error { return os.WriteFile(path, []byte("t3xt"), 0o500) },
		"mode":    func(path string) error { return os.Chmod(path, 0o700) },
		"removed": os.Remove,
		"link": func(p string) error {
			return errors.Join(os.Remove(p), os.Symlink(path, p))
		},
	} {
		for _, next := range []bool{false, true} {
			s := open(t)
			c := put(t, s, path, "text")
			must(t, os.Chmod(c.Path, 0o700)) // So that the test may write to it if it is not root's.
			must(t, spoil(c.Path))
			if what == "torn" || what == "other" {
				must(t, os.Chmod(c.Path, 0o500))
			}
			if next {
				var err error
				s, err = OpenStore(s.dir)
				must(t, err)
			}
			if again := put(t, s, path, "text"); again != c {
				t.Errorf("%s: %v, want %v", what, again, c)
			}
		}
	}
}

// TestReused: an intact copy of an earlier process is used, and read once for that.
func TestReused(t *testing.T) {
	t.Parallel()
	path := file(t, "text", t.TempDir(), "f")
	s := open(t)
	c := put(t, s, path, "text")
	before := inode(t, c.Path)
	s, err := OpenStore(s.dir)
	must(t, err)
	put(t, s, path, "text")
	if inode(t, c.Path) != before || len(s.checked) != 1 {
		t.Errorf("not used: %v", s.checked)
	}
}

// TestKeep: all copies go but those that are named, and nothing else.
func TestKeep(t *testing.T) {
	t.Parallel()
	s := open(t)
	dir := t.TempDir()
	var hashes []string
	for i := range 5 {
		hashes = append(hashes, put(t, s, file(t, fmt.Sprint(i), dir, "f"), fmt.Sprint(i)).Hash)
	}
	file(t, "", s.dir, "README")
	file(t, "", s.dir, temporary+"1")
	must(t, s.Keep(append(hashes[:2:2], "unknown")))
	want := []string{temporary + "1", "README", "f-" + hashes[0], "f-" + hashes[1]}
	slices.Sort(want)
	if got := names(t, s.dir); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	put(t, s, file(t, "4", dir, "f"), "4")
}

// TestOpenStore: a directory is made private, and what was not completed in it is removed.
func TestOpenStore(t *testing.T) {
	t.Parallel()
	s := open(t)
	if info, err := os.Stat(s.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	file(t, "half", s.dir, temporary+"123")
	_, err := OpenStore(s.dir)
	must(t, err)
	if got := names(t, s.dir); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// TestUnsafeDir: a directory that others can use, or that is none, is refused.
func TestUnsafeDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wide, foreign, link := filepath.Join(dir, "wide"), filepath.Join(dir, "foreign"), filepath.Join(dir, "link")
	for _, d := range []string{wide, foreign} {
		must(t, os.Mkdir(d, 0o700))
	}
	must(t, os.Chmod(wide, 0o750))
	must(t, os.Symlink(t.TempDir(), link))
	cases := map[string]string{wide: "0750", link: "symbolic link"}
	if os.Geteuid() == 0 {
		must(t, os.Chown(foreign, 1, 1))
		cases[foreign] = "belongs to user 1"
	}
	for dir, want := range cases {
		_, err := OpenStore(dir)
		if e, ok := errors.AsType[*UnsafeDirError](err); !ok || e.Dir != dir {
			t.Errorf("%s: %v", dir, err)
		}
		wantText(t, err, dir, want)
	}
	if _, err := OpenStore(file(t, "", dir, "file")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
}

// TestNoExec: a file system on which nothing can be run is refused.
func TestNoExec(t *testing.T) {
	t.Parallel()
	err := executable("/state", func(_ string, st *unix.Statfs_t) error {
		st.Flags = unix.ST_NOEXEC | unix.ST_NOSUID
		return nil
	})
	if e, ok := errors.AsType[*NoExecError](err); !ok || e.Dir != "/state" {
		t.Error(err)
	}
	wantText(t, err, "noexec", "/state")
	must(t, executable("/", unix.Statfs))
}

// TestNoExecMount: the same with a file system that is mounted so, where the test may mount one.
func TestNoExecMount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_NOEXEC, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	_, err := OpenStore(filepath.Join(dir, "programs"))
	if _, ok := errors.AsType[*NoExecError](err); !ok {
		t.Error(err)
	}
}

// TestNoSpace: a disk that is full is told in words, and nothing is left on it.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	s, err := OpenStore(filepath.Join(dir, "programs"))
	must(t, err)
	path := file(t, strings.Repeat("x", 2_500_000), t.TempDir(), "big")
	_, err = s.Put(path)
	if e, ok := errors.AsType[*SpaceError](err); !ok || e.Size != 2_500_000 || !errors.Is(err, unix.ENOSPC) {
		t.Error(err)
	}
	wantText(t, err, "no space", s.dir, path, "2.5 MB")
	if got := names(t, s.dir); len(got) != 0 {
		t.Errorf("%v are left", got)
	}
	put(t, s, file(t, "small", path), "small")
}

// TestPutErrors: what cannot be copied leaves nothing behind.
func TestPutErrors(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, path := range []string{"/dev/null", s.dir, filepath.Join(s.dir, "none")} {
		if c, err := s.Put(path); err == nil {
			t.Errorf("%v", c)
		}
	}
	path := file(t, "text", t.TempDir(), "f")
	must(t, os.MkdirAll(filepath.Join(s.named(path, hashed("text")).Path, "in the way"), 0o700))
	_, err := s.Put(path)
	wantText(t, err, "copy program")
	if got := names(t, s.dir); len(got) != 1 {
		t.Errorf("%v are left", got)
	}
}

// TestPutChanging: the hash is that of the copy, whatever the program is made into meanwhile.
func TestPutChanging(t *testing.T) {
	t.Parallel()
	s, path := open(t), file(t, "", t.TempDir(), "f")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = os.WriteFile(path, []byte(strings.Repeat(fmt.Sprint(i), piece/2)), 0o600)
			}
		}
	}()
	for range 50 {
		c, err := s.Put(path)
		must(t, err)
		got, err := os.ReadFile(c.Path)
		must(t, err)
		if hashed(string(got)) != c.Hash {
			t.Error("the hash is not that of the copy")
		}
	}
	close(stop)
	<-done
}

// TestPutTogether: puts of the same content at the same time are one copy.
func TestPutTogether(t *testing.T) {
	t.Parallel()
	s, dir := open(t), t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 20 {
				text := fmt.Sprint(j)
				path := filepath.Join(dir, fmt.Sprint(i))
				if err := os.MkdirAll(path, 0o700); err != nil {
					t.Error(err)
					return
				}
				c, err := s.Put(file(t, text, path, "f"))
				if err != nil || c.Hash != hashed(text) {
					t.Errorf("%v, %v", c, err)
				}
			}
		})
	}
	all.Wait()
	if got := names(t, s.dir); len(got) != 20 {
		t.Errorf("%d copies: %v", len(got), got)
	}
}

// TestPutBetweenForks: nothing is written while a process is forked, and the hash is that of what is written then.
func TestPutBetweenForks(t *testing.T) {
	t.Parallel()
	s, dir := open(t), t.TempDir()
	s.fork = new(sync.RWMutex)
	path := file(t, "text", dir, "f")
	s.fork.Lock()
	type result struct {
		Copy
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := s.Put(path)
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		t.Errorf("written while a process was forked: %+v", r)
	case <-time.After(50 * time.Millisecond):
	}
	file(t, "next", path)
	s.fork.Unlock()
	r := <-done
	must(t, r.err)
	wantCopy(t, r.Copy, "next")
	s.fork.Lock() // What is there needs no writing.
	defer s.fork.Unlock()
	_, err := s.Put(path)
	must(t, err)
}
