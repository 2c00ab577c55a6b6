package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// doubt is how long something that was found broken is taken for broken, if it is the same file and nobody asks: what it depends on may have been mended.
const doubt = 20 * time.Second

// knowledge is what was found out about one content of a program.
type knowledge struct {
	recognised bool
	is         binary
	examined   bool
	head       head
	elfFault   string // of a binary
	// asked is when it described itself, or did not; zero if it was not asked.
	asked       time.Time
	description Description
	fault       error // why it did not
	used        bool  // since the last look began
}

// knows returns what is known of a content. What is found out about one without a hash is not remembered.
func (l *library) knows(hash string) *knowledge {
	if hash == "" {
		return &knowledge{}
	}
	k := l.known[hash]
	if k == nil {
		k = &knowledge{}
		l.known[hash] = k
	}
	k.used = true
	return k
}

// recognise looks into an executable file without running it, once for each content.
func (l *library) recognise(path, hash string) (binary, error) {
	k := l.knows(hash)
	if k.recognised {
		return k.is, nil
	}
	is, err := recognise(path)
	k.is, k.recognised = is, err == nil
	return is, err
}

// fileFault says why a file cannot be executed; empty if it can.
func (l *library) fileFault(path, hash string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Sprintf("the file %s cannot be read (%v), want a worker", path, err)
	case !info.Mode().IsRegular():
		return path + " is no regular file, want a program"
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Sprintf("the file %s is not executable, want chmod +x %s", path, path)
	}
	k := l.knows(hash)
	if !k.examined {
		if k.head, err = readHead(path); errors.Is(err, fs.ErrPermission) {
			return "" // a binary may be run without being readable
		}
		if err != nil {
			return fmt.Sprintf("the file %s cannot be read (%v), want a worker", path, err)
		}
		if k.head.elf() {
			k.elfFault = elfFault(path)
		}
		k.examined = true
	}
	fault := k.head.fault() // not remembered: an interpreter may come and go
	if fault == "" {
		fault = k.elfFault
	}
	if fault != "" {
		return fmt.Sprintf("the file %s %s", path, fault)
	}
	return ""
}

// doubted reports whether something that was found broken at a time is to be looked at again.
func (s *scan) doubted(at time.Time) bool { return s.how.again || s.lib.now().Sub(at) >= doubt }

// forget drops what is known of contents that the last look has not come across, but for those of programs that run.
func (l *library) forget(running []Program) {
	for _, p := range running {
		if k := l.known[p.FileHash]; k != nil {
			k.used = true
		}
	}
	for hash, k := range l.known {
		if !k.used {
			delete(l.known, hash)
		}
		k.used = false
	}
}
