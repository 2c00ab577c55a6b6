package testutil

import (
	"os"
	"os/exec"
	"testing"
)

// Need finds a program that a test needs, also in the places where daemons
// are, or skips the test. Where CI is set the test fails instead: there
// everything has to be installed. pkg is Debian's package of it.
func Need(tb testing.TB, program, pkg string) string {
	tb.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		tb.Fatalf("%s is not installed, and CI is set (Debian: %s)", program, pkg)
	}
	tb.Skipf("%s is not installed (Debian: %s)", program, pkg)
	return ""
}
