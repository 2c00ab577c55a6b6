package watch

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a notifier whose events the test makes.
type fake struct {
	ev chan fsnotify.Event
	er chan error

	mu   sync.Mutex
	dirs map[string]bool
	adds int
	// refuse says with which error a directory is not watched.
	refuse func(dir string) error
	closed bool
}

func newFake() *fake {
	return &fake{ev: make(chan fsnotify.Event), er: make(chan error), dirs: make(map[string]bool), refuse: func(string) error { return nil }}
}

func (f *fake) Add(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.adds++
	if err := f.refuse(dir); err != nil {
		return err
	}
	f.dirs[dir] = true
	return nil
}

func (f *fake) Remove(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dirs[dir] {
		return fsnotify.ErrNonExistentWatch
	}
	delete(f.dirs, dir)
	return nil
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.ev)
		close(f.er)
	}
	return nil
}

func (f *fake) events() <-chan fsnotify.Event { return f.ev }
func (f *fake) errors() <-chan error          { return f.er }

// set changes what is refused.
func (f *fake) set(refuse func(dir string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

// added returns how often a directory was added.
func (f *fake) added() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.adds
}

// watches returns the directories that are watched below one.
func (f *fake) watches(below string) (dirs []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir := range f.dirs {
		if rel, err := filepath.Rel(below, dir); err == nil && filepath.IsLocal(rel) {
			dirs = append(dirs, rel)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// write makes an event.
func (f *fake) write(path string) { f.ev <- fsnotify.Event{Name: path, Op: fsnotify.Write} }

// bundle is a Watcher of one directory, with a fake notifier, in a bubble with a clock of its own.
type bundle struct {
	*Watcher
	t    *testing.T
	fake *fake
	// dir is watched; nothing is in it.
	dir string
	// problems are what OnProblem was told.
	problems []error
}

// file returns the path of an entry of the directory.
func (b *bundle) file(name string) string { return filepath.Join(b.dir, name) }

// next waits until a Change comes, for at most limit, and returns when it came.
func (b *bundle) next(limit time.Duration) (Change, time.Duration) {
	b.t.Helper()
	began := time.Now()
	select {
	case c := <-b.Changes():
		return c, time.Since(began)
	case <-time.After(limit):
		b.t.Fatalf("no Change for %v", limit)
		return Change{}, 0
	}
}

// none waits and wants no Change.
func (b *bundle) none(wait time.Duration) {
	b.t.Helper()
	select {
	case c := <-b.Changes():
		b.t.Fatalf("Change %+v, want none", c)
	case <-time.After(wait):
	}
}

// bubble runs a test with a Watcher that has sent the Change that its first Set brings.
func bubble(t *testing.T, test func(b *bundle)) {
	t.Helper()
	dir := realDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := &bundle{t: t, fake: newFake(), dir: dir}
		b.Watcher = New(Config{
			open:      func() (notifier, error) { return b.fake, nil },
			OnProblem: func(err error) { b.problems = append(b.problems, err) },
		})
		defer func() { _ = b.Close() }()
		b.Set([]string{dir})
		b.next(time.Second)
		test(b)
	})
}

// pass lets the time of a bubble pass.
func pass(d time.Duration) { <-time.After(d) }

// realDir returns a directory without symbolic links in its path.
func realDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// mkdir makes a directory and those above it.
func mkdir(t *testing.T, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// link makes a symbolic link.
func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// file writes a file.
func file(t *testing.T, text string, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
