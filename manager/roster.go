package manager

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// rosterSlack is how many lines of workers that have ended a roster may hold
// before it is written anew.
const rosterSlack = 1000

// roster is the list of a manager's worker processes on disk, for a manager that
// comes after it. Each line is "pid starttime grace_ms name". A process that has
// ended stays in it: its start time tells it from another of the same number. Its
// methods may be called from any goroutine.
type roster struct {
	path string

	mu    sync.Mutex
	file  *os.File
	lines int
	live  map[int]rosterEntry
}

type rosterEntry struct {
	pid   int
	start uint64 // clock ticks since boot; see supervisor.StartTimeOf
	grace time.Duration
	name  string // "pool/number"
}

func (e rosterEntry) String() string {
	return fmt.Sprintf("%d %d %d %s\n", e.pid, e.start, e.grace.Milliseconds(), e.name)
}

func newRoster(dir string) (*roster, error) {
	r := &roster{path: filepath.Join(dir, workersName), live: map[int]rosterEntry{}}
	file, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make list of workers: %w", err)
	}
	r.file = file
	return r, nil
}

// add notes a process. Without the note it is only not waited for by a later
// manager, so that an error is none for the worker.
func (r *roster) add(e rosterEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[e.pid] = e
	if r.lines > len(r.live)+rosterSlack {
		return r.rewrite()
	}
	r.lines++
	if _, err := r.file.WriteString(e.String()); err != nil {
		return fmt.Errorf("note worker %s: %w", e.name, err)
	}
	return nil
}

// drop forgets a process that has ended.
func (r *roster) drop(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, pid)
}

// rewrite replaces the file by one with the live processes. The caller holds mu.
func (r *roster) rewrite() error {
	file, err := os.OpenFile(r.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("write list of workers: %w", err)
	}
	var text strings.Builder
	for _, e := range r.live {
		text.WriteString(e.String())
	}
	if _, err := file.WriteString(text.String()); err != nil {
		_ = file.Close()
		return fmt.Errorf("write list of workers: %w", err)
	}
	if err := os.Rename(file.Name(), r.path); err != nil {
		_ = file.Close()
		return fmt.Errorf("write list of workers: %w", err)
	}
	_ = r.file.Close()
	r.file, r.lines = file, len(r.live)
	return nil
}

func (r *roster) close() error { return r.file.Close() }

// readRoster reads the list of a dead manager. Lines that it did not finish are
// left out.
func readRoster(dir string) ([]rosterEntry, error) {
	file, err := os.Open(filepath.Join(dir, workersName))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var entries []rosterEntry
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if e, ok := parseRosterEntry(scanner.Text()); ok {
			entries = append(entries, e)
		}
	}
	return entries, scanner.Err()
}

func parseRosterEntry(line string) (rosterEntry, bool) {
	var (
		e  rosterEntry
		ms int64
	)
	head, name, ok := cutFields(line, 3)
	if !ok {
		return e, false
	}
	if _, err := fmt.Sscanf(head, "%d %d %d", &e.pid, &e.start, &ms); err != nil || e.pid <= 1 {
		return e, false
	}
	e.grace, e.name = time.Duration(ms)*time.Millisecond, name
	return e, true
}

// cutFields cuts a line after n fields that end in a blank.
func cutFields(line string, n int) (head, rest string, ok bool) {
	end := 0
	for range n {
		i := strings.IndexByte(line[end:], ' ')
		if i < 0 {
			return "", "", false
		}
		end += i + 1
	}
	return line[:end-1], line[end:], true
}
