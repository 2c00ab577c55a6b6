package content

import (
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tick is longer than the granularity of any file system's change times: FAT's is 2 s, that of others a second or some milliseconds.
	tick = 2500 * time.Millisecond
	// skew is how far the clock of a file server may be from ours.
	skew = time.Minute
	// remembered is how many files are remembered for certain; at most twice as many are. A manager has some hundreds.
	remembered = 4096
)

// Sums hashes files and remembers their hashes. Its methods may be called at the same time. It has no goroutine and needs no end.
type Sums struct {
	mu sync.Mutex
	// recent and older are two generations of entries: one that is looked up moves to recent, and older ones go as recent fills up.
	recent, older map[fileID]entry
	// hash reads a file.
	hash func(path string) (hash string, of stamp, steady bool, err error)
}

// entry is what is remembered of a file.
type entry struct {
	stamp stamp
	// seen is when the stamp was first seen, by our monotonic clock.
	seen time.Time
	// hash is the content's; it is empty until one was taken that is final.
	hash string
}

// NewSums returns a memory that is empty.
func NewSums() *Sums {
	return &Sums{recent: make(map[fileID]entry), hash: hashFile}
}

// File returns the SHA-256 of the content of a regular file, in hexadecimal. Symbolic links are followed. It blocks on the disk: for one stat if
// the file is known and unchanged, else while it reads all of it. A file that is written to meanwhile gives the hash of what was read, which
// is not remembered. Errors are those of the file system, and [*NotRegularError].
func (s *Sums) File(path string) (hash string, err error) {
	if hash, ok := s.known(path); ok {
		return hash, nil
	}
	began := time.Now()
	hash, of, steady, err := s.hash(path)
	if err != nil {
		return "", err
	}
	if steady {
		s.remember(of, hash, began)
	}
	return hash, nil
}

// known returns the hash that is remembered for what the file is now. It notes that the stamp was seen.
func (s *Sums) known(path string) (hash string, ok bool) {
	at, err := look(path)
	if err != nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.find(at.id())
	if !ok || e.stamp != at {
		e = entry{stamp: at, seen: time.Now()}
	}
	s.put(e)
	return e.hash, e.hash != ""
}

// remember keeps a hash that was taken from began on, if no change that came later can have the same stamp.
func (s *Sums) remember(of stamp, hash string, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.find(of.id())
	if !ok || e.stamp != of {
		e = entry{stamp: of, seen: time.Now()}
	}
	if began.Sub(e.seen) >= tick || began.Sub(of.changed()) >= skew {
		e.hash = hash
	}
	s.put(e)
}

// find returns the entry of a file. The caller has the lock.
func (s *Sums) find(id fileID) (entry, bool) {
	if e, ok := s.recent[id]; ok {
		return e, true
	}
	e, ok := s.older[id]
	return e, ok
}

// put sets the entry of a file. The caller has the lock.
func (s *Sums) put(e entry) {
	if _, ok := s.recent[e.stamp.id()]; !ok && len(s.recent) >= remembered {
		s.older, s.recent = s.recent, make(map[fileID]entry)
	}
	s.recent[e.stamp.id()] = e
}

// look returns the stamp of the file that a path leads to.
func look(path string) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return stamp{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return stampOf(&st), nil
}
