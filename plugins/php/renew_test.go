package php_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// A file that was changed is loaded as it is now by workers that are started after Renew,
// also where opcache has it as it was; workers from before are left alone.
func TestRenewLoadsFilesAnew(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			dir := t.TempDir()
			file := workerFile(t, dir, "reverse", reverse+` echo "old\n";`)
			old := time.Now().Add(-time.Hour) // opcache does not keep files that were written just now
			if err := os.Chtimes(file.Path, old, old); err != nil {
				t.Fatal(err)
			}
			first := b.start(t, launch(file))
			changed := workerFile(t, t.TempDir(), "reverse", reverse+` echo "new\n";`)
			if err := os.Rename(changed.Path, file.Path); err != nil {
				t.Fatal(err)
			}
			if err := b.host.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			second := b.start(t, launch(file))
			testutil.WaitFor(t, "the new worker to print", func() bool { return len(second.LastLines()) > 0 })
			if got := strings.Join(second.LastLines(), " "); got != "new" {
				t.Errorf("it loaded what prints %q", got)
			}
			if err := first.Ping(t.Context()); err != nil {
				t.Errorf("the worker from before: %v", err)
			}
		})
	}
}
