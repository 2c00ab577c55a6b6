package demo_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// demoCommand builds the program and the examples, and returns the demo with
// further flags, in a directory of its own.
func demoCommand(t *testing.T, flags ...string) *exec.Cmd {
	t.Helper()
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
	args := append([]string{"demo", "--workers", filepath.Join(dir, "examples") + "," + workers}, flags...)
	ctx, cancel := context.WithTimeout(t.Context(), testutil.Patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "gearman-manager"), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	return cmd
}

// TestDemoThatIsKept stays up, says how to talk to it, and ends when its terminal
// is closed, which sends SIGHUP. Nothing is left.
func TestDemoThatIsKept(t *testing.T) {
	t.Parallel()
	cmd := demoCommand(t, "--keep")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if config, found := strings.CutPrefix(lines.Text(), "Its config: "); found {
			said = true
			if _, err := os.Stat(config); err != nil {
				t.Error(err)
			}
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !said {
		t.Errorf("the demo: %v, said where its config is: %v", err, said)
	}
	if left, _ := filepath.Glob(filepath.Join(cmd.Dir, "gearman-manager-demo-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDemo builds the program and the examples and runs the demo as "make
// demo" does.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	cmd := demoCommand(t)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
	}
	for _, want := range []string{"!dlroW olleH", "10/10", "lift-off", "reverse/1", "wordcount/1", "every answer checked"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out.String())
		}
	}
	if _, err := exec.LookPath("php"); err == nil && !strings.Contains(out.String(), "php-as-before") {
		t.Errorf("there is a php, and the demo does not show it:\n%s", out.String())
	}
	if strings.Contains(log.String(), "ERR") || strings.Contains(log.String(), "WRN") {
		t.Errorf("the log:\n%s", log.String())
	}
}

// TestDemoWithoutPHP runs the demo where no php is found: it does without.
func TestDemoWithoutPHP(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, name := range []string{"sh", "wc", "python3", "env"} {
		if path, err := exec.LookPath(name); err == nil {
			if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var out, log bytes.Buffer
	cmd := demoCommand(t)
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.Env = append(cmd.Env, "PATH="+bin)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
	}
	if !strings.Contains(out.String(), "left out") || strings.Contains(out.String(), "job slug") {
		t.Errorf("the demo without php:\n%s", out.String())
	}
	if strings.Contains(log.String(), "ERR") {
		t.Errorf("the log:\n%s", log.String())
	}
}
