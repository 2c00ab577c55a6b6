package fleet

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// daemon starts a process that leaves the worker's group and has inherited its
// connections, and names it in $out.
const daemon = `exec("setsid sleep 60 > /dev/null 2>&1 < /dev/null & echo $!", $out); `

// TestPHPWorkerLeavesADaemon has jobs start processes that stay when the worker
// goes, however that ends: the job servers see it go all the same. Of a worker
// that is killed they could not.
func TestPHPWorkerLeavesADaemon(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = conduct\n")
			f.waitAll("conduct", 1)
			for _, end := range []string{`return $out[0];`, `$job->sendData($out[0]); exit;`, `$job->sendData($out[0]); ini_set("memory_limit", "32M"); return str_repeat("x", 64 << 20);`} {
				said := f.trace("conduct", daemon+end)
				f.killDaemonAtEnd(said)
				f.waitAll("conduct", 1)
			}
			f.signal(syscall.SIGTERM)
			f.waitExit()
			testutil.WaitFor(t, "nobody to be registered", func() bool { return f.registered("conduct") == 0 })
		})
	}
}

// killDaemonAtEnd kills, with the test, the process that a job has started.
func (f *phpFleet) killDaemonAtEnd(said []string) {
	f.tb.Helper()
	var kind string
	var pid int
	if n, err := fmt.Sscan(said[0], &kind, &pid); n != 2 || pid < 2 {
		f.tb.Fatalf("the job said %q, %v, want a process id", said, err)
	}
	f.tb.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // it may have been killed with its worker
}
