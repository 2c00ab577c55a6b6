package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Change is a value to set in a config file.
type Change struct {
	// Section is the name of a function or [GlobalSection], Key that of a key.
	Section, Key string
	// Value is what the key is to be, without quotes. An empty one makes it count as not set.
	Value string
}

// SaveError says why values were not saved. The file is as it was.
type SaveError struct {
	// File is the file as it was named, Line where in it the reason stands, 0 for the whole.
	File string
	Line int
	// Section and Key name the value, empty when the reason is none of its own.
	Section, Key string
	// Reason says what is wrong and what is wanted.
	Reason string
	// Err is what the system says, nil when the reason is all there is.
	Err error
}

// Error returns "save file:line: [section] key: reason".
func (e *SaveError) Error() string {
	reason := e.Reason
	if e.Err != nil {
		reason += " (" + e.Err.Error() + ")"
	}
	p := Problem{File: e.File, Line: e.Line, Section: e.Section, Key: e.Key, Message: reason}
	return "save " + p.String()
}

// Unwrap returns what the system says.
func (e *SaveError) Unwrap() error { return e.Err }

// Save writes values into an ini file and leaves everything else in it as it is: comments, order, spaces and line ends, the way in which a
// value is quoted, the file's mode, owner and group. A key that its section lacks is put behind the section's last one, a section that
// is not there at the end of the file; [Config.FileOf] tells in which file a section stands.
//
// The file is replaced at once or not at all: the new text is written beside it, read again, and renamed over it when nothing but the wanted
// values differs. A symbolic link stays, and what it leads to is replaced. For that the directory has to be writable.
//
// It returns a [*SaveError] for a config in PHP, a file with errors, a section that stands in a file that
// this one includes, a value that the key does not take, one that is a list or comes from the environment, and a file that cannot be replaced or has changed meanwhile. Save blocks on the disk, and while another process saves in
// the same directory. It may be used concurrently, also with [Load], which finds the file as it was or as it is to be.
func Save(path string, changes []Change) error {
	switch {
	case path == "":
		return &SaveError{Reason: "there is no config file, want one that is named with -c"}
	case strings.EqualFold(filepath.Ext(path), ".php"):
		return &SaveError{File: path, Reason: "a config in PHP cannot be changed, want the value changed by hand"}
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return &SaveError{File: path, Reason: "the config file cannot be found", Err: err}
	}
	defer lockDir(filepath.Dir(target))()
	data, problem := readIncluded(target)
	if problem != "" {
		return &SaveError{File: path, Reason: problem}
	}
	text, err := edit(path, string(data), changes)
	if err == nil {
		err = elsewhere(path, changes)
	}
	if err == nil && text != string(data) {
		err = replaceFile(target, data, []byte(text))
	}
	if e, ok := errors.AsType[*SaveError](err); ok {
		e.File = path
	}
	return err
}

// elsewhere returns an error for a change of a section that stands in a file that this one includes: here it would stand twice.
func elsewhere(path string, changes []Change) error {
	whole, _ := Load(path, nil)
	if whole == nil {
		return nil
	}
	for _, c := range changes {
		if at, ok := whole.sections[c.Section]; ok && at.File != path {
			return &SaveError{Section: c.Section, Key: c.Key, Reason: fmt.Sprintf("the section stands in %s, want the value saved there", at.File)}
		}
	}
	return nil
}

// FileOf returns the file in which the section stands, where a value of it is to be saved. For a section that is nowhere it is the config
// file; empty when there is none.
func (c *Config) FileOf(section string) string { return c.SectionOrigin(section).File }

// edit returns the text with the changes made.
func edit(file, text string, changes []Change) (string, error) {
	bom := text[:len(text)-len(strings.TrimPrefix(text, "\ufeff"))]
	e := &editor{file: file, keys: Keys(), text: text[len(bom):]}
	if err := e.read(); err != nil {
		return "", err
	}
	want := e.meaning()
	for _, c := range changes {
		written, err := e.apply(c)
		if err != nil {
			return "", err
		}
		want.set(c, written)
		if err := e.read(); err != nil {
			return "", fmt.Errorf("internal error: %w", err)
		}
	}
	if difference := want.differs(e.meaning()); difference != "" {
		return "", &SaveError{File: file, Reason: "internal error: " + difference + " would change as well, so nothing was written"}
	}
	return bom + e.text, nil
}
