package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin holds what TestMain has built: gearman-manager and, in plugins, the
// example plugins and those of these tests.
var bin string

func TestMain(m *testing.M) {
	if path := os.Getenv(servedConfig); path != "" {
		if err := serveManager(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

// run builds once what all tests use.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fleet-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	bin = dir
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state")); err != nil { // managers keep suspect jobs there
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for out, pkg := range map[string]string{
		"gearman-manager":  "../../cmd/gearman-manager",
		"plugins/reverse":  "../../examples/reverse",
		"examples/reverse": "../../examples/reverse",
		"plugins/torture":  "./torture",
		"life/life":        "./torture/life",
		"old/oldworker":    "./oldworker",
		"release/release":  "./release",
	} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, out), pkg)
		if text, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", pkg, err, text)
			return 1
		}
	}
	return m.Run()
}
