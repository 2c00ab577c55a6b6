package manager

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// FindDirs returns the runtime directories of managers that this user may talk to:
// below base, the runtime_dir of a config, or where they are usual if base is empty.
// Those of managers that have died may be among them. Directories that others could
// have made are left out. The error is that of places that cannot be looked at, such
// as another user's; there may be directories beside it.
func FindDirs(base string) ([]string, error) {
	bases := []string{base}
	if base == "" {
		bases = findBases()
	}
	var dirs []string
	var errs []error
	for _, base := range bases {
		if real, err := filepath.EvalSymlinks(base); err == nil {
			base = real
		}
		if _, err := os.Lstat(base); err != nil || badBase(base) != "" {
			continue
		}
		entries, err := os.ReadDir(base)
		if err != nil {
			errs = append(errs, err)
		}
		for _, entry := range entries {
			if path := filepath.Join(base, entry.Name()); ownName(entry.Name()) && isFile(path, lockName) && !slices.Contains(dirs, path) {
				dirs = append(dirs, path)
			}
		}
	}
	return dirs, errors.Join(errs...)
}

// findBases are the directories that a manager of this user may have chosen. It may
// have been started in another way, with another environment.
func findBases() []string {
	uid := os.Geteuid()
	bases := usualBases(os.Getenv("XDG_RUNTIME_DIR"), uid, os.TempDir())
	bases = append(bases, usualBases(filepath.Join("/run/user", strconv.Itoa(uid)), 0, os.TempDir())...)
	private, err := filepath.Glob(filepath.Join(os.TempDir(), "gearman-manager-*")) // see makeRunDir
	if err != nil {
		private = nil // cannot be: the pattern is ours
	}
	for _, path := range private {
		if info, err := os.Lstat(path); err == nil && info.Mode().Perm() == 0o700 && owned(info, uid) {
			bases = append(bases, path)
		}
	}
	slices.Sort(bases)
	return slices.Compact(bases)
}

// owned tells whether a file belongs to a user.
func owned(info fs.FileInfo, uid int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == uid
}
