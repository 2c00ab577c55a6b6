package content

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// settle returns what Settled says of a file that edit changes every 250 ms, n times, and how long it took.
func settle(t *testing.T, n int, edit func(i int, path string)) (hash string, took time.Duration, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	edit(0, path)
	synctest.Test(t, func(t *testing.T) {
		began, done := time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			for i := range n {
				<-time.After(250 * time.Millisecond)
				edit(i+1, path)
			}
		}()
		hash, err = NewSums().Settled(t.Context(), path, 300*time.Millisecond)
		took = time.Since(began)
		<-done
	})
	return hash, took, err
}

// TestSettled: a file that is not changed is looked at twice, and one that is changed until it is not.
func TestSettled(t *testing.T) {
	t.Parallel()
	write := func(i int, path string) { must(t, os.WriteFile(path, fmt.Appendf(nil, "%08d", i), 0o600)) }
	for n, want := range map[int]time.Duration{0: 300 * time.Millisecond, 1: 600 * time.Millisecond, 10: 3 * time.Second} {
		hash, took, err := settle(t, n, write)
		if err != nil || hash != hashed(fmt.Sprintf("%08d", n)) || took != want {
			t.Errorf("%d changes: %s, %v after %v, want %v", n, hash, err, took, want)
		}
	}
}

// TestUnsettled: there is an end to waiting for a file that does not cease to change.
func TestUnsettled(t *testing.T) {
	t.Parallel()
	_, took, err := settle(t, 200, func(i int, path string) { must(t, os.WriteFile(path, fmt.Append(nil, i), 0o600)) })
	if e, ok := errors.AsType[*UnsettledError](err); !ok || e.Waited < patience || took > patience+time.Second {
		t.Errorf("%v after %v", err, took)
	}
	wantText(t, err, "changing for 30s")
}

// TestSettledGone: a file that is gone for a moment is waited for, one that stays away is not.
func TestSettledGone(t *testing.T) {
	t.Parallel()
	hash, _, err := settle(t, 2, func(i int, path string) {
		if i == 1 {
			must(t, os.Remove(path))
			return
		}
		file(t, fmt.Sprint(i), path)
	})
	if err != nil || hash != hashed("2") {
		t.Errorf("back again: %s, %v", hash, err)
	}
	_, took, err := settle(t, 0, func(int, string) {})
	if !errors.Is(err, fs.ErrNotExist) || took != 300*time.Millisecond {
		t.Errorf("missing: %v after %v", err, took)
	}
}

// TestSettledCanceled: it ends with its context, and says why.
func TestSettledCanceled(t *testing.T) {
	t.Parallel()
	cause := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := NewSums().Settled(ctx, file(t, "", t.TempDir(), "f"), time.Hour); !errors.Is(err, cause) {
		t.Error(err)
	}
}
