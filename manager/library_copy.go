package manager

import (
	"errors"
	"io/fs"
	"os"

	"github.com/gearman-manager/gearman-manager/internal/content"
)

// copyOf gives a plugin a private copy to run from. Where there can be none it runs in place. The result is false where the file is another by now.
func (s *scan) copyOf(c *candidate) (same bool) {
	l := s.lib
	if l.store == nil || !l.knows(c.FileHash).head.elf() {
		return true // a script that runs can be written to
	}
	private, err := l.put(c.Path, c.FileHash)
	if err != nil {
		l.inPlace(c.Path, err)
		return true
	}
	delete(l.told, c.Path)
	c.Run = private.Path
	return private.Hash == c.FileHash
}

// put returns the private copy of a program. One that was made before is only looked for.
func (l *library) put(path, hash string) (content.Copy, error) {
	key := copyKey{path, hash}
	if c, ok := l.copies[key]; ok {
		if _, err := os.Stat(c.Path); err == nil {
			return c, nil
		}
	}
	c, err := l.store.Put(path)
	if err != nil {
		return content.Copy{}, err
	}
	l.copies[copyKey{path, c.Hash}] = c
	return c, nil
}

// copyKey identifies a copy: its name holds its program's.
type copyKey struct{ path, hash string }

// inPlace tells once for each reason that a plugin runs in place.
func (l *library) inPlace(path string, err error) {
	why := err.Error()
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		why = at.Err.Error() // without the name of a temporary file
	}
	if l.told[path] != why {
		l.told[path] = why
		l.emit(PluginInPlace{Program: path, Err: err})
	}
}

// prune removes the private copies that neither a plan uses nor the last look has found. It blocks while a look is going on.
func (l *library) prune(plans ...*Plan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil {
		return
	}
	used := map[string]bool{}
	for _, p := range l.latest {
		used[p.Run] = true
	}
	for _, plan := range plans {
		for _, pool := range plan.Pools {
			used[pool.Run] = true
		}
	}
	var hashes []string
	for key, c := range l.copies {
		if used[c.Path] {
			hashes = append(hashes, c.Hash)
		} else {
			delete(l.copies, key)
		}
	}
	_ = l.store.Keep(hashes) // what could not be removed is tried again the next time
}
