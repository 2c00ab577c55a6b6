package demo_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDemo builds the program and the examples and runs the demo as "make
// demo" does.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for out, pkg := range map[string]string{"gearman-manager": "../../cmd/gearman-manager", "examples/reverse": "../../examples/reverse"} {
		if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, out), pkg).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, text)
		}
	}
	workers, err := filepath.Abs("../../examples/workers")
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "gearman-manager"), "demo", "--workers", filepath.Join(dir, "examples")+","+workers)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, &out, &log, os.Environ()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
	}
	for _, want := range []string{"!dlroW olleH", "10/10", "lift-off", "reverse/1", "wordcount/1", "every answer checked"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(log.String(), "ERR") || strings.Contains(log.String(), "WRN") {
		t.Errorf("the log:\n%s", log.String())
	}
}
