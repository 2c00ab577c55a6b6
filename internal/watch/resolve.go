package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxLinks is how many symbolic links the kernel follows in one path.
	maxLinks = 40
	// maxDirs bounds what one Watcher takes of a table that all programs of the user share; 8192 was the kernel's default for long.
	maxDirs = 4096
	// maxLooks bounds what a glob that matches half of the disk may cost.
	maxLooks = 100_000
)

// fileID names a directory, whatever its path is.
type fileID struct{ dev, ino uint64 }

// step is one component of a path.
type step struct {
	name string
	// literal says that it is no pattern, whatever characters are in it.
	literal bool
}

// steps splits a path. The result ends with what follows.
func steps(path string, literal bool, follows []step) []step {
	var all []step
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			all = append(all, step{name: name, literal: literal || !isPattern(name)})
		}
	}
	return append(all, follows...)
}

// isPattern reports whether a component is a pattern and a valid one.
func isPattern(name string) bool {
	if !strings.ContainsAny(name, `*?[\`) {
		return false
	}
	_, err := filepath.Match(name, "")
	return err == nil
}

// absolute returns the paths as they are from the root, sorted and each once. ".." stays: what it means depends on symbolic links.
func absolute(paths []string) []string {
	all := make([]string, 0, len(paths))
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			dir, err := os.Getwd()
			if err != nil {
				continue
			}
			path = dir + "/" + path
		}
		all = append(all, path)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// resolver finds what has to be watched. It looks at each file once.
type resolver struct {
	plan  *plan
	byID  map[fileID]*interest
	stats map[string]stat
	lists map[string][]fs.DirEntry
}

// stat is what is at a path.
type stat struct {
	id   fileID
	mode fs.FileMode
	ok   bool
	// public is set for a directory with the sticky bit.
	public bool
}

// resolve finds what has to be watched for absolute paths.
func resolve(paths []string) *plan {
	r := &resolver{
		plan:  &plan{dirs: make(map[string]*interest)},
		byID:  make(map[fileID]*interest),
		stats: make(map[string]stat),
		lists: make(map[string][]fs.DirEntry),
	}
	for _, path := range paths {
		r.walk("/", steps(path, false, nil), 0, true)
	}
	return r.plan
}

// walk goes from a directory along a path, and notes each directory on the way. A directory at the end is looked into if inside is set.
func (r *resolver) walk(dir string, rest []step, links int, inside bool) {
	for len(rest) > 0 {
		next := rest[0]
		rest = rest[1:]
		if next.name == ".." {
			dir = filepath.Dir(dir)
			continue
		}
		in := r.at(dir)
		if !next.literal {
			in.needed = true
			in.match(next.name)
			r.fan(dir, next.name, rest, links)
		}
		// A file may have the name of a pattern, and a worker directory may be called [old].
		path := filepath.Join(dir, next.name)
		at := r.stat(path)
		if next.literal || at.ok {
			in.names[next.name] = true
		}
		switch {
		case at.mode.IsDir() && at.ok:
			dir = path
		case at.mode&fs.ModeSymlink != 0 && links < maxLinks:
			in.needed = true
			links++
			target, err := os.Readlink(path)
			if err != nil {
				return
			}
			rest = steps(target, true, rest)
			if filepath.IsAbs(target) {
				dir = "/"
			}
		default:
			in.needed = true
			return
		}
	}
	if inside {
		r.inside(dir)
	}
}

// fan goes on along a path with each entry of a directory that matches a pattern.
func (r *resolver) fan(dir, pattern string, rest []step, links int) {
	for _, e := range r.list(dir) {
		if !e.IsDir() && e.Type()&fs.ModeSymlink == 0 || e.IsDir() && len(rest) == 0 {
			continue
		}
		if ok, _ := filepath.Match(pattern, e.Name()); ok {
			r.walk(dir, append([]step{{e.Name(), true}}, rest...), links, false)
		}
	}
}

// inside notes a directory whose entries count, and where symbolic links among them lead.
func (r *resolver) inside(dir string) {
	in := r.at(dir)
	in.needed, in.entries = true, true
	for _, e := range r.list(dir) {
		if e.Type()&fs.ModeSymlink != 0 && !passing(e.Name()) {
			r.walk(dir, []step{{e.Name(), true}}, 0, false)
		}
	}
}

// at returns what is noted of a directory. One that is mounted in two places is one. What is noted of a directory that is gone is lost.
func (r *resolver) at(dir string) *interest {
	at := r.stat(dir)
	if in, ok := r.byID[at.id]; ok && at.ok {
		return in
	}
	in := &interest{id: at.id, public: at.public, names: make(map[string]bool)}
	switch {
	case len(r.plan.dirs) >= maxDirs:
		r.plan.cut = true
	case at.ok && at.mode.IsDir():
		r.plan.dirs[dir] = in
		r.byID[at.id] = in
	}
	return in
}

// stat returns what is at a path, without following a symbolic link.
func (r *resolver) stat(path string) stat {
	if s, ok := r.stats[path]; ok {
		return s
	}
	if len(r.stats) >= maxLooks {
		r.plan.cut = true
		return stat{}
	}
	var (
		st unix.Stat_t
		s  stat
	)
	if err := unix.Lstat(path, &st); err == nil {
		s = stat{id: fileID{st.Dev, st.Ino}, mode: modeOf(st.Mode), ok: true, public: st.Mode&unix.S_ISVTX != 0}
	}
	r.stats[path] = s
	return s
}

// modeOf tells directories and symbolic links from other files.
func modeOf(mode uint32) fs.FileMode {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	}
	return 0
}

// list returns the entries of a directory, none if it cannot be read.
func (r *resolver) list(dir string) []fs.DirEntry {
	entries, ok := r.lists[dir]
	if !ok {
		entries, _ = os.ReadDir(dir)
		r.lists[dir] = entries
	}
	return entries
}
