// Package trust says which files may be run: those that only their owner and
// group can change or put another one in place of.
package trust

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WritableError says that any user may decide what a file is.
type WritableError struct {
	// Path is the file, At what others may write to: the file itself or a
	// directory that leads to it.
	Path, At string
}

// Error says it and what to do.
func (e *WritableError) Error() string {
	return fmt.Sprintf("others may write to %s, so %s is not run, want chmod o-w %s", e.At, e.Path, e.At)
}

// Check returns a [*WritableError] for a file that any user can change or replace.
// Each directory above it counts, also above the symbolic links that lead to it:
// who may write to one of them decides what is run. The path has to be absolute.
// Other errors are those of a file that cannot be found or looked at.
func Check(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for _, at := range append([]string{real}, append(above(real), above(path)...)...) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if OpenToAll(info) {
			return &WritableError{Path: path, At: at}
		}
	}
	return nil
}

// OpenToAll reports whether any user may write to a file, or put a file of theirs
// in a directory in place of another one.
func OpenToAll(info fs.FileInfo) bool {
	return info.Mode().Perm()&0o002 != 0 && info.Mode()&(fs.ModeSticky|fs.ModeDir) != fs.ModeSticky|fs.ModeDir
}

// above returns the directories that lead to an absolute path, the nearest first.
func above(path string) (dirs []string) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == filepath.Dir(dir) {
			return dirs
		}
	}
}
