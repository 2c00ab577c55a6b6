package conformance

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// TestDebianTools lets Debian's own worker, client and admin tool, which stand
// on libgearman, work with the embedded server.
func TestDebianTools(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "gearman", "gearman-tools")
	testutil.Need(t, "gearadmin", "gearman-tools")
	srv := startEmbedded(t, options{})
	host, port, err := net.SplitHostPort(srv.addr())
	if err != nil {
		t.Fatal(err)
	}
	at := []string{"-h", host, "-p", port}
	worker := exec.Command("gearman", append(at, "-w", "-f", "count", "--", "wc", "-c")...)
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	})
	if got := strings.TrimSpace(run(t, "hello", "gearman", append(at, "-f", "count")...)); got != "5" {
		t.Errorf("the worker counted %q bytes, want 5", got)
	}
	run(t, "in the background", "gearman", append(at, "-b", "-f", "later")...)
	status := run(t, "", "gearadmin", append(at, "--status")...)
	for _, want := range []string{"count\t0\t0\t1\n", "later\t1\t0\t0\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("status %q lacks %q", status, want)
		}
	}
	if got := run(t, "", "gearadmin", append(at, "--create-function", "made")...); !strings.Contains(got, "OK") {
		t.Errorf("create function: %q", got)
	}
	if got := run(t, "", "gearadmin", append(at, "--workers")...); !strings.Contains(got, ": count") {
		t.Errorf("workers: %q", got)
	}
}

// run runs a program with an input and returns its output.
func run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testutil.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}
