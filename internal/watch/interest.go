package watch

import (
	"path/filepath"
	"slices"
	"strings"
)

// interest says which events of a directory count.
type interest struct {
	id fileID
	// names are entries that lead to a watched path, or are one.
	names map[string]bool
	// patterns are those that entries are matched with.
	patterns []string
	// entries says that all entries count that a person or a program means to be there.
	entries bool
	// needed says that the directory is more than a step on the way: what is watched, or a symbolic link, is in it, or will be.
	needed bool
	// public says that everybody may make files in it, as in /tmp.
	public bool
}

// counts reports whether an event of an entry counts.
func (i *interest) counts(name string) bool {
	return i.names[name] || i.entries && !passing(name) || slices.ContainsFunc(i.patterns, func(p string) bool {
		ok, _ := filepath.Match(p, name)
		return ok
	})
}

// match adds a pattern.
func (i *interest) match(pattern string) {
	if !slices.Contains(i.patterns, pattern) {
		i.patterns = append(i.patterns, pattern)
	}
}

// passing reports whether a file is one that editors and copying programs make for the moment: hidden ones (rsync's, emacs' locks, vim's swap files), vim's
// test for whether it can write (4913), backups, and kate's, emacs' and vim's other files.
func passing(name string) bool {
	if name == "4913" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
		return true
	}
	return slices.ContainsFunc([]string{"~", ".swp", ".swo", ".swx", ".kate-swp"}, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// plan is what has to be watched, by the paths of directories without symbolic links. It does not change once it is made.
type plan struct {
	dirs map[string]*interest
	// cut says that there would have been more directories.
	cut bool
}

// order returns the directories, those that are needed first: where the kernel's table is full, they are what is watched. A public one that is only a step on
// the way is not among them, since programs write to it all the time: what is moved in it is found by a rescan.
func (p *plan) order() []string {
	dirs := make([]string, 0, len(p.dirs))
	for dir, in := range p.dirs {
		if in.needed || !in.public {
			dirs = append(dirs, dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int {
		if p.dirs[a].needed != p.dirs[b].needed {
			if p.dirs[a].needed {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return dirs
}

// counts reports whether an event of this path counts: one of a directory that is watched, or of one of its entries.
func (p *plan) counts(path string) bool {
	if p == nil {
		return false
	}
	if _, ok := p.dirs[path]; ok {
		return true
	}
	i, ok := p.dirs[filepath.Dir(path)]
	return ok && i.counts(filepath.Base(path))
}
