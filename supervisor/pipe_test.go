package supervisor_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestFinishReadsWhatThePipeHolds(t *testing.T) {
	t.Parallel()
	r, w, err := supervisor.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close(); _ = r.Close() }() // w is open all the time
	text := strings.Repeat("0123456789", 5000)      // less than a pipe holds
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
	r.Finish()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != text {
		t.Errorf("%d of %d bytes, %v", len(got), len(text), err)
	}
}

func TestFinishEndsARead(t *testing.T) {
	t.Parallel()
	r, w, err := supervisor.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close(); _ = r.Close() }()
	done := make(chan error, 1)
	go func() { _, err := r.Read(make([]byte, 1)); done <- err }()
	r.Finish()
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// Whoever goes on writing does not keep a reader that wants to end.
func TestFinishHasAnEnd(t *testing.T) {
	t.Parallel()
	r, w, err := supervisor.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	spec := sh("yes 2>/dev/null")
	spec.Stdout = w
	p := start(t, spec)
	_ = w.Close()
	var got bytes.Buffer
	if _, err := io.CopyN(&got, r, 1<<20); err != nil {
		t.Fatal(err)
	}
	r.Finish()
	if n, err := io.Copy(io.Discard, r); err != nil || n > 2<<20 {
		t.Errorf("%d more bytes, %v", n, err)
	}
	_ = r.Close()
	if e := wait(t, p); e.Success() {
		t.Errorf("yes: %v", e)
	}
}
