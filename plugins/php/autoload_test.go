package php_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// TestAutoloaderOfAStranger is not loaded: through a link to it leads a directory in
// which anybody may put another one in its place.
func TestAutoloaderOfAStranger(t *testing.T) {
	for name, c := range map[string]struct {
		mode  os.FileMode
		loads bool
	}{"closed": {0o755, true}, "open": {0o777, false}, "open, but sticky": {0o777 | os.ModeSticky, true}} {
		t.Run(name, func(t *testing.T) {
			app, elsewhere := t.TempDir(), t.TempDir()
			shared := filepath.Join(elsewhere, "shared")
			if err := os.MkdirAll(filepath.Join(shared, "vendor"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(shared, c.mode); err != nil {
				t.Fatal(err)
			}
			workerFile(t, filepath.Join(shared, "vendor"), "autoload", "const LOADED = true;")
			if err := os.Symlink(filepath.Join(shared, "vendor"), filepath.Join(app, "vendor")); err != nil {
				t.Fatal(err)
			}
			f := workerFile(t, app, "reverse", `if (defined('LOADED')) throw new Exception('loaded'); function reverse($job, &$log) {}`)
			found, err := setupPHP(t, true, nil).host.Inspect(t.Context(), []php.File{f})
			if err != nil || len(found) > 0 != c.loads {
				t.Errorf("found %v, %v; loaded should be %v", found, err, c.loads)
			}
		})
	}
}
