package php_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// version is a file whose workers tell which version of it they have loaded.
func version(t *testing.T, dir, v string) php.File {
	t.Helper()
	return workerFile(t, dir, "version", `echo "version `+v+` of ", getmypid(), "\n"; function version($job) {}`)
}

// runs tells which version of a file the workers of a generation load.
func (b *bundle) runs(t *testing.T, g *php.Generation, file php.File) string {
	t.Helper()
	printed := &lines{}
	l := launch(file)
	l.Output = printed.add
	w, err := g.Start(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	w.Release()
	finish(t, w)
	_, said, _ := strings.Cut(printed.String(), "version ")
	v, _, _ := strings.Cut(said, " ")
	return v
}

// parents are how many processes fork.
func (b *bundle) parents() (n int) {
	for _, p := range b.sup.Processes() {
		if p.Name() == "php parent" {
			n++
		}
	}
	return n
}

// TestGenerationsHoldTheirVersions changes a file that workers run, and then removes it.
func TestGenerationsHoldTheirVersions(t *testing.T) {
	for name, preload := range map[string]bool{"opcache": false, "preload": true} {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, true, func(cfg *php.Config) {
				cfg.Preload = preload
				if preload {
					cfg.Args = []string{"-d", "opcache.enable=0"}
				}
			})
			dir := t.TempDir()
			var all []*php.Generation
			for v := range 3 {
				file := version(t, dir, fmt.Sprint(v))
				g := b.host.Generation()
				all = append(all, g)
				if found, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil || len(found) > 0 {
					t.Fatalf("%v, %v", found, err)
				}
				if err := g.Warm(t.Context(), []php.File{file}); err != nil {
					t.Fatal(err)
				}
			}
			file := version(t, dir, "broken")
			if err := os.Remove(file.Path); err != nil {
				t.Fatal(err)
			}
			if found, err := b.host.Inspect(t.Context(), []php.File{file}); err != nil || len(found) != 1 {
				t.Fatalf("the file that is gone: %v, %v", found, err)
			}
			for v, g := range all {
				if got := b.runs(t, g, file); !preload && got != fmt.Sprint(v) || preload && got != "" {
					t.Errorf("version %d: workers have loaded %q", v, got)
				}
			}
		})
	}
}

// TestGenerationsAtOnce has several fork side by side, and end while others go on.
func TestGenerationsAtOnce(t *testing.T) {
	b := setupPHP(t, true, nil)
	var all sync.WaitGroup
	for v := range 4 {
		all.Go(func() {
			file := version(t, t.TempDir(), fmt.Sprint(v))
			g := b.host.Generation()
			if err := g.Warm(t.Context(), []php.File{file}); err != nil {
				t.Error(err)
			}
			var starts sync.WaitGroup
			for range 5 {
				starts.Go(func() {
					if got := b.runs(t, g, file); got != fmt.Sprint(v) {
						t.Errorf("generation %d has loaded version %q", v, got)
					}
				})
			}
			starts.Wait()
			if err := g.Close(); err != nil {
				t.Error(err)
			}
			if _, err := g.Start(t.Context(), launch(file)); !errors.Is(err, php.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
	all.Wait()
	if n := b.parents(); n > 0 {
		t.Errorf("%d parents left", n)
	}
}
