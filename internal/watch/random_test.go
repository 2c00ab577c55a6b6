package watch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// TestRandom: whatever has been done to the files on the way, once it is over a write to what the paths lead to is seen.
func TestRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := &scramble{Rand: rand.New(rand.NewPCG(seed, 5)), root: realDir(t)}
			way := filepath.Join(s.root, "a/b/a")
			w := watch(t, way, filepath.Join(way, "b"), filepath.Join(s.root, "*/c/*.php"))
			for round := range 40 {
				for range 1 + s.IntN(30) {
					s.edit()
				}
				dir := []string{way, filepath.Join(s.root, "a/c"), filepath.Join(s.root, "c/c")}[s.IntN(3)]
				if real, err := filepath.EvalSymlinks(dir); err == nil {
					w.written(filepath.Join(real, fmt.Sprintf("r%d.php", round)))
				}
			}
		})
	}
}

// written writes to a file until that is seen, if it can be written to. A write that is not seen has no effect on the Watcher: only what was done before makes it
// look at the right directory.
func (w *watching) written(path string) {
	w.t.Helper()
	testutil.WaitFor(w.t, "a write to "+path, func() bool {
		if os.WriteFile(path, nil, 0o600) != nil {
			return true
		}
		late := time.After(100 * time.Millisecond)
		for {
			select {
			case c := <-w.Changes():
				if c.More || slices.Contains(c.Paths, path) {
					return true
				}
			case <-late:
				return false
			}
		}
	})
}

// scramble makes, moves, links and removes directories and files with few names, so that they often meet.
type scramble struct {
	*rand.Rand
	root string
}

// path returns a random path.
func (s *scramble) path() string {
	path := s.root
	for range 1 + s.IntN(3) {
		path = filepath.Join(path, string(rune('a'+s.IntN(3))))
	}
	return path
}

// edit does one thing, which may be impossible.
func (s *scramble) edit() {
	path := s.path()
	switch s.IntN(7) {
	case 0:
		_ = os.RemoveAll(path)
	case 1, 2:
		_ = os.MkdirAll(path, 0o700)
	case 3:
		_ = os.Rename(path, s.path())
	case 4:
		_ = os.Symlink(s.path(), path)
	case 5:
		_ = os.Symlink(filepath.Join("..", string(rune('a'+s.IntN(3)))), path)
	case 6:
		_ = os.WriteFile(path, nil, 0o600)
	}
}
