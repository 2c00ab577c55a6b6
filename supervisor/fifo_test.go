package supervisor_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

func newFIFO(t *testing.T) (path string, out *supervisor.Output, got *collected) {
	t.Helper()
	path, got = filepath.Join(t.TempDir(), "17.err"), &collected{}
	out, err := supervisor.NewFIFO(path, supervisor.OutputConfig{Line: got.add, Dropped: got.dropped, Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return path, out, got
}

func TestAFIFOIsReadWhoeverOpensIt(t *testing.T) {
	t.Parallel()
	path, out, got := newFIFO(t)
	if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeNamedPipe|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if out.Writer() != nil {
		t.Error("it has a writer")
	}
	// Opened, written and closed again and again, and at once by several.
	spec := sh(`echo one >"$0"; echo two >>"$0"; exec >"$0"; echo three; /bin/sh -c 'echo four >>"$0"' "$0"; printf five`)
	spec.Args = append(spec.Args, path)
	if e := wait(t, start(t, spec)); !e.Success() {
		t.Fatal(e)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one", "two", "three", "four", "five"}; !reflect.DeepEqual(got.all(), want) {
		t.Errorf("got %q, want %q", got.all(), want)
	}
	if want := []string{"four", "five"}; !reflect.DeepEqual(out.Tail(), want) {
		t.Errorf("tail %q, want %q", out.Tail(), want)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its path after Close: %v", err)
	}
	if err := out.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

func TestAFloodThroughAFIFO(t *testing.T) {
	t.Parallel()
	const lines = 50_000
	path, out, got := newFIFO(t)
	w, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for no reader: there is one
	if err != nil {
		t.Fatal(err)
	}
	spec := child("flood", fmt.Sprint(lines))
	spec.Stdout = w
	p := start(t, spec)
	_ = w.Close()
	if e := wait(t, p); !e.Success() {
		t.Fatal(e)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	mustAccountFor(t, got.all(), lines)
	if tail := out.Tail(); tail[len(tail)-1] != fmt.Sprintf("line %d", lines-1) {
		t.Errorf("tail: %q", tail)
	}
}

func TestAFIFOIsClosedThoughSomebodyHoldsIt(t *testing.T) {
	t.Parallel()
	path, out, got := newFIFO(t)
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if _, err := w.WriteString("last words\n"); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- out.Close() }()
	if err := testutil.Receive(t, "Close", closed); err != nil {
		t.Error(err)
	}
	if want := []string{"last words"}; !reflect.DeepEqual(got.all(), want) {
		t.Errorf("got %q, want %q", got.all(), want)
	}
	// Children of other tests may hold it yet, between fork and exec.
	testutil.WaitFor(t, "EPIPE for who writes after Close", func() bool {
		_, err := w.WriteString("x")
		return errors.Is(err, syscall.EPIPE)
	})
}

func TestAFIFOTakesNoPathThatIsInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := supervisor.NewFIFO(path, supervisor.OutputConfig{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "kept" {
		t.Errorf("the file after that: %q, %v", text, err)
	}
	if _, err := supervisor.NewFIFO(filepath.Join(path, "x"), supervisor.OutputConfig{}); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("no directory: %v", err)
	}
}

func TestAFIFOWhoseDirectoryIsGone(t *testing.T) {
	t.Parallel()
	path, out, _ := newFIFO(t)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
}
