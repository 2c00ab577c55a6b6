package logging

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTornLine: the beginning of a line that did not fit is taken away, or ended where
// that cannot be.
func TestTornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f, err := OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, text := range []string{"whole\n", "begi"} {
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if !f.cut(4) {
		t.Fatal("it cannot be cut")
	}
	if _, err := f.Write([]byte("next\nbegi")); err != nil {
		t.Fatal(err)
	}
	f.torn = true
	if _, err := f.Write([]byte("last\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "whole\nnext\nbegi\nlast\n" {
		t.Errorf("%q, %v", got, err)
	}
}
