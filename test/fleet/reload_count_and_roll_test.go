package fleet

import (
	"testing"

	"github.com/gearman-manager/gearman-manager/manager"
)

// TestRollWithAnotherCount changes the number of slots of one process of executables in
// the reload that also replaces it. (For test/fleet once the dip is mended: fails 1 of 3.)
func TestRollWithAnotherCount(t *testing.T) {
	t.Parallel()
	f := newLoaded(t)
	f.seen.mark()
	f.set("tool", "dedicated_count", "3")
	f.m.must(order{Do: "reload", Reload: manager.ReloadRequest{Config: true, Code: true, Roll: true}})
	f.settle(map[string]int{"plug": 2, "script": 2, "tool": 3})
	for _, function := range loadedFunctions() {
		f.seen.wantNeverBelow(function, 2)
	}
	f.finish()
}
