package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// includeKey is the key in [GearmanManager] that names functions and files.
const includeKey = "include"

// isIniFile reports whether an entry of include is a file, or a pattern for files, and no function.
func isIniFile(entry string) bool { return strings.EqualFold(filepath.Ext(entry), ".ini") }

// includes reports whether the statement includes files.
func (s statement) includes() bool {
	if s.section != GlobalSection || s.key != includeKey {
		return false
	}
	entries, err := (&item{values: []string{s.value.text}, list: s.list}).trimmed()
	return err == nil && slices.ContainsFunc(entries, isIniFile)
}

// include adds the files that the document includes and returns what is wrong with them.
func (d *document) include() (problems []Problem) {
	it := d.items[place{GlobalSection, includeKey}]
	if it == nil || it.fault != "" {
		return nil
	}
	entries, err := it.trimmed()
	if err != nil {
		return nil // it is reported when the value is read
	}
	for _, entry := range entries {
		switch {
		case isIniFile(entry):
			problems = append(problems, d.includeAll(entry, it.origin)...)
		case looksLikeFile(entry):
			problems = append(problems, problemAt(it.origin, Warning, printable(entry)+" is taken for the name of a function, want a name that ends in .ini for a file"))
		}
	}
	return problems
}

// looksLikeFile reports whether an entry of include that is a function was hardly meant to be one.
func looksLikeFile(entry string) bool {
	return entry != "*" && strings.ContainsAny(entry, "/*") || strings.HasSuffix(entry, ".conf") || strings.HasSuffix(entry, ".cfg")
}

// includeAll adds the files that match an entry, each once.
func (d *document) includeAll(entry string, from Origin) (problems []Problem) {
	fail := func(format string, args ...any) {
		problems = append(problems, problemAt(from, Error, fmt.Sprintf(format, args...)))
	}
	if strings.ContainsAny(entry, "\x00") {
		fail("a zero byte stands in the name of a file, want text")
		return problems
	}
	pattern := absolutePattern(entry, filepath.Dir(d.file()))
	d.patterns = append(d.patterns, pattern)
	files, err := d.matches(entry, pattern)
	if err != nil {
		fail("%s is no pattern, want * ? and [a-z], and a backslash before those that are meant as they are", printable(entry))
	}
	for _, file := range files {
		data, problem := readIncluded(file)
		if problem != "" {
			d.files = append(d.files, file)
			fail("%s: %s", printable(file), problem)
			continue
		}
		statements, faults := scan(file, string(data), Keys())
		problems = append(problems, faults...)
		d.add(file, statements)
	}
	return problems
}

// matches returns the files of an entry that are not there yet, sorted. The config file itself does not count, and as for a shell none
// whose name begins with a dot, unless the pattern's does: editors leave such.
func (d *document) matches(entry, pattern string) ([]string, error) {
	var files []string
	if strings.ContainsAny(entry, `*?[\`) {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller says what is wrong
		}
		hidden := strings.HasPrefix(filepath.Base(entry), ".")
		files = slices.DeleteFunc(found, func(file string) bool { return !hidden && strings.HasPrefix(filepath.Base(file), ".") })
	} else {
		files = []string{absolute(entry, filepath.Dir(d.file()))}
	}
	self, err := os.Stat(d.file())
	files = slices.DeleteFunc(files, func(file string) bool {
		return slices.Contains(d.files, file) || err == nil && isFile(self, file)
	})
	slices.Sort(files)
	return files, nil
}

// isFile reports whether a path leads to a file.
func isFile(file fs.FileInfo, path string) bool {
	info, err := os.Stat(path)
	return err == nil && os.SameFile(file, info)
}

// readIncluded returns the content of a file that is included, or what is wrong with the file. A pipe would block for as long as nobody
// writes to it, so it has to be a regular file.
func readIncluded(path string) (data []byte, problem string) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return nil, "this is no regular file, want an ini file"
	}
	return readFile(path)
}

// absolutePattern returns the pattern as seen from a directory, in whose own name no character is special.
func absolutePattern(pattern, dir string) string {
	return absolute(pattern, patternMeta.Replace(dir))
}

// patternMeta takes the meaning from the characters that are special in a pattern.
var patternMeta = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`) //nolint:gochecknoglobals // a table that is built once
