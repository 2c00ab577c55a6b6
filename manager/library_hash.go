package manager

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
)

const (
	// maxWatchedFiles and maxWatchedBytes bound what the watch of a program may name.
	maxWatchedFiles = 4096
	maxWatchedBytes = 256 << 20
)

// hashOf returns one hash over several texts, in hexadecimal digits. The texts hold no zero byte.
func hashOf(texts []string) string {
	sum := sha256.New()
	for _, text := range texts {
		_, _ = io.WriteString(sum, text+"\x00") // a hash takes all
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// fingerprint sets the hash of a program: that of its file, together with the names and contents of those that the watch of its functions names.
func (s *scan) fingerprint(c *candidate) {
	if c.kept {
		return
	}
	c.Hash = c.FileHash
	if files := s.watchedBy(c); len(files) > 0 {
		texts := []string{c.FileHash}
		for _, path := range files {
			texts = append(texts, path, s.sum(path))
		}
		c.Hash = hashOf(texts)
	}
}

// watchedBy are the files that the watch of a program's functions names, sorted, as far as there are not too many.
func (s *scan) watchedBy(c *candidate) (files []string) {
	for _, pattern := range watchPatterns(s.cfg, c.Functions) {
		files = append(files, s.match(pattern)...)
	}
	slices.Sort(files)
	files = slices.Compact(files)
	bytes := int64(0)
	for i, path := range files {
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
		if i == maxWatchedFiles || bytes > maxWatchedBytes {
			s.tooMuch(c)
			return files[:i]
		}
	}
	return files
}

// tooMuch notes that not all is looked at that the watch of a program names.
func (s *scan) tooMuch(c *candidate) {
	for _, name := range c.Functions {
		if f := s.cfg.Function(name); len(f.Watch()) > 0 {
			s.note(config.Warning, f.Origin("watch"), "changes of only the first files are noticed, since it names more than %d files or %s for %s, want patterns for fewer",
				maxWatchedFiles, config.FormatSize(maxWatchedBytes), c.Path)
			return
		}
	}
}

// match returns the files that a pattern of watch names. A directory stands for the files in it.
func (s *scan) match(pattern string) []string {
	if files, ok := s.matches[pattern]; ok {
		return files
	}
	var files []string
	found, _ := filepath.Glob(pattern) // the config has checked it
	for _, path := range found {
		info, err := os.Stat(path)
		switch {
		case err != nil || ignored(filepath.Base(path)):
		case info.IsDir():
			files = append(files, filesIn(path)...)
		case info.Mode().IsRegular():
			files = append(files, path)
		}
	}
	s.matches[pattern] = files
	return files
}

// filesIn are the regular files of a directory, without those that are hidden or an editor's.
func filesIn(dir string) (files []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !ignored(entry.Name()) {
			files = append(files, path)
		}
	}
	return files
}
