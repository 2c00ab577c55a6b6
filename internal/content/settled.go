package content

import (
	"context"
	"fmt"
	"time"
)

// patience is how long Settled waits for a file that does not stop changing, at least: a large program over a slow line.
const patience = 30 * time.Second

// UnsettledError says that a file did not stop changing.
type UnsettledError struct {
	// Path is the file.
	Path string
	// Waited is for how long it was looked at.
	Waited time.Duration
}

// Error names the file and how long it was looked at.
func (e *UnsettledError) Error() string {
	return fmt.Sprintf("%s has been changing for %s", e.Path, e.Waited.Round(time.Second))
}

// Settled returns the hash of a file that is complete, as far as that can be seen: two looks, wait apart, found the same content and the same
// attributes. It looks on while they differ, for 30 s or 20 times wait, whichever is longer, and then returns an [*UnsettledError]. A file that is not there or cannot
// be read at two looks in a row gives that error; one that is gone for a moment, as while an editor replaces it, does not. It blocks for at least wait, and returns the
// cause of ctx when that ends. It may be called at the same time for any files.
func (s *Sums) Settled(ctx context.Context, path string, wait time.Duration) (hash string, err error) {
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	last := s.view(path)
	for {
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-timer.C:
		}
		now := s.view(path)
		if now.same(last) {
			return now.hash, now.err
		}
		if waited := time.Since(began); waited >= max(patience, 20*wait) {
			return "", &UnsettledError{Path: path, Waited: waited}
		}
		last = now
		timer.Reset(wait)
	}
}

// view is one look at a file. If it failed, the hash is empty.
type view struct {
	stamp stamp
	hash  string
	err   error
}

// same reports whether two looks saw the same, a file or none.
func (v view) same(other view) bool {
	return v.stamp == other.stamp && v.hash == other.hash
}

// view looks at a file.
func (s *Sums) view(path string) view {
	hash, err := s.File(path)
	if err != nil {
		return view{err: err}
	}
	at, err := look(path)
	if err != nil {
		return view{err: err}
	}
	return view{stamp: at, hash: hash}
}
