package php_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// failingFork is a pcntl_fork that fails every second time, as at a limit of processes:
// that is the fork that would make the worker.
const failingFork = `<?php
function pcntl_fork()
{
    static $calls = 0;
    return ++$calls % 2 === 0 ? -1 : FFI::cdef('int fork(void);')->fork();
}
`

// TestStartAtALimitOfProcesses fails at once, and not when the worker that could not be
// forked has not come for a while.
func TestStartAtALimitOfProcesses(t *testing.T) {
	dir := t.TempDir()
	prepended := filepath.Join(dir, "fork.php")
	if err := os.WriteFile(prepended, []byte(failingFork), 0o600); err != nil {
		t.Fatal(err)
	}
	b := setupPHP(t, true, func(cfg *php.Config) {
		cfg.Args = []string{"-d", "disable_functions=pcntl_fork", "-d", "auto_prepend_file=" + prepended}
	})
	_, err := b.gen.Start(t.Context(), launch(workerFile(t, dir, "reverse", `function reverse($job, &$log) {}`)))
	checkError[*host.RefusedError](t, err, "could not fork")
}
