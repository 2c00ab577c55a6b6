package php_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/php"
)

// TestParentReadsForOthers has the manager die: a parent reads what workers print until they
// are gone, also those that it has not forked.
func TestParentReadsForOthers(t *testing.T) {
	t.Parallel()
	path := testutil.Need(t, "php", "php-cli")
	dir, err := os.MkdirTemp("", "parent") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	fifo := filepath.Join(dir, "17.err")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	worker, err := os.OpenFile(fifo, os.O_RDWR, 0) // as one that is forked has it
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, slices.Concat(php.EngineArgs(), []string{"bridge.php", "parent", socket, "1"})...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if err := l.SetDeadline(time.Now().Add(testutil.Patience)); err != nil {
		t.Fatal(err)
	}
	manager, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []func() error{manager.Close, l.Close} {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	if err := worker.SetWriteDeadline(time.Now().Add(testutil.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Write(make([]byte, 1<<20)); err != nil { // more than a FIFO holds
		t.Errorf("what it prints is not read: %v", err)
	}
	_ = worker.Close()
	if err := testutil.Receive(t, "the end of the parent", ended); err != nil {
		t.Error(err)
	}
}
