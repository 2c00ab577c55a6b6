package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/ini.v1"
)

// maxFileSize bounds a config file. The largest that were seen have some hundred functions and 20 KiB.
const maxFileSize = 4 << 20

// Override is a value from the command line, which wins over the file's [GearmanManager] section.
type Override struct {
	// Flag is how the user wrote it, such as "-D"; problems name it.
	Flag string
	// Key is the name of a key that is allowed in [GearmanManager].
	Key string
	// Value is taken as it is: no quotes, no comments. A switch takes on or off, a list has commas.
	Value string
}

// Overrides are applied in order; the last one for a key counts.
type Overrides []Override

// Load reads a config file and puts the overrides on top. With an empty path there is no file: the config is the defaults and the
// overrides.
//
// Files that the config file includes are read with it; one that cannot be read is an error.
//
// It returns all problems at once. With errors among them (see [HasErrors]) the config holds what could be read, so that a check can go on and
// find more, but it must not be run. Only when the file itself cannot be read is the config nil.
func Load(path string, overrides Overrides) (*Config, []Problem) {
	if path == "" {
		return Parse("", nil, overrides)
	}
	data, problem := readFile(path)
	if problem != "" {
		return nil, []Problem{{File: path, Severity: Error, Message: problem}}
	}
	keys := table(Keys())
	statements, problems := scan(path, string(data), keys)
	doc := newDocument(path, statements)
	return load(doc, append(problems, doc.include()...), overrides)
}

// readFile returns the content of a config file, or what is wrong with the file.
func readFile(path string) (data []byte, problem string) {
	if strings.EqualFold(filepath.Ext(path), ".php") {
		return nil, "a config in PHP cannot be read, want an ini file"
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, openProblem(err)
	}
	defer file.Close() //nolint:errcheck // nothing was written to it
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, fmt.Sprintf("the config file cannot be read (%v)", err)
	case info.IsDir():
		return nil, "this is a directory, want an ini file"
	}
	data, err = io.ReadAll(io.LimitReader(file, maxFileSize+1))
	switch {
	case err != nil:
		return nil, fmt.Sprintf("the config file cannot be read (%v)", err)
	case len(data) > maxFileSize:
		return nil, fmt.Sprintf("the file has more than %d MiB, want a config file", maxFileSize>>20)
	}
	return data, ""
}

// openProblem says why a file could not be opened.
func openProblem(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such config file, want a readable ini file"
	case errors.Is(err, fs.ErrPermission):
		return "the config file may not be read, want read permission for this user"
	default:
		return fmt.Sprintf("the config file cannot be opened (%v)", err)
	}
}

// Parse is [Load] for the content of a file; name is what problems call the file, and may be empty when data is. Relative paths are seen from the
// working directory. No other file is read: what the content includes is left out. The config is never nil.
func Parse(name string, data []byte, overrides Overrides) (*Config, []Problem) {
	keys := table(Keys())
	statements, problems := scan(name, string(data), keys)
	return load(newDocument(name, statements), problems, overrides)
}

// load applies the table of keys to a document and adds to the problems of what it was made from.
func load(doc *document, problems []Problem, overrides Overrides) (*Config, []Problem) {
	keys := table(Keys())
	l := &loader{
		keys: keys, doc: doc, problems: append(problems, doc.problems...),
		config: &Config{
			file: doc.file(), keys: keys, values: map[place]value{}, sections: doc.sections, names: doc.functions(),
		},
	}
	cwd, err := os.Getwd()
	if err != nil {
		l.add(Problem{Severity: Error, Message: fmt.Sprintf("the working directory cannot be found (%v)", err)})
	}
	l.config.cwd = cwd
	for _, file := range slices.DeleteFunc(slices.Concat(doc.files, doc.others), func(file string) bool { return file == "" }) {
		l.config.files = append(l.config.files, absolute(file, cwd))
	}
	for _, pattern := range doc.patterns {
		l.config.patterns = append(l.config.patterns, absolutePattern(pattern, cwd))
	}
	l.run(overrides)
	sortProblems(l.problems, doc.files)
	return l.config, l.problems
}

// loader applies the table of keys to a document.
type loader struct {
	keys     table
	doc      *document
	config   *Config
	problems []Problem
	// number counts the values that were set.
	number int
}

// run fills the config.
func (l *loader) run(overrides Overrides) {
	file, err := loadPlain(l.doc.plain())
	if err != nil {
		l.add(Problem{File: l.doc.file(), Severity: Error, Message: "internal error: " + err.Error()})
		return
	}
	overridden := l.override(overrides)
	for _, at := range l.doc.order {
		if _, ok := overridden[at]; !ok {
			l.fromFile(file, at)
		}
	}
	l.checkControl()
	l.compareMemory(GlobalSection)
	for _, name := range l.config.names {
		l.compareMemory(name)
		if err := CheckFunctionName(name); err != nil {
			l.add(problemAt(l.doc.sections[name], Error, err.Error()))
		}
	}
}

// add notes a problem.
func (l *loader) add(p Problem) { l.problems = append(l.problems, p) }

// override sets the values of the command line and returns their places. The file's values for them are not even checked.
func (l *loader) override(overrides Overrides) map[place]struct{} {
	seen := map[place]struct{}{}
	for _, o := range overrides {
		at := place{GlobalSection, o.Key}
		origin := Origin{Section: GlobalSection, Key: o.Key, Flag: o.Flag}
		k, ok := l.keys.find(o.Key, GlobalSection)
		if !ok {
			l.add(problemAt(origin, Error, "internal error: the flag sets a key that is unknown"))
			continue
		}
		delete(l.config.values, at)
		l.set(k, at, &item{values: []string{o.Value}, quoted: true, origin: origin})
		seen[at] = struct{}{}
	}
	return seen
}

// fromFile sets one value of the file.
func (l *loader) fromFile(file *ini.File, at place) {
	it := l.doc.items[at]
	k, ok := l.keys.find(at.key, at.section)
	if !ok {
		l.add(problemAt(it.origin, Warning, l.unknown(at)))
		return
	}
	if it.fault != "" {
		l.add(problemAt(it.origin, Error, it.fault))
		return
	}
	values, err := texts(file, at)
	if err != nil || len(values) != len(it.values) {
		l.add(problemAt(it.origin, Error, "internal error: the value was lost on the way"))
		return
	}
	it.values = values
	l.set(k, at, it)
}

// set converts and stores one value.
func (l *loader) set(k Key, at place, it *item) {
	text := strings.Join(it.values, ",")
	if len(it.values) == 1 && it.values[0] == "" {
		if !it.off || !k.hasOff() {
			return
		}
		it.values, text = []string{"0"}, "off"
	}
	typed, err := k.convert(it, l.config.cwd)
	var clamped *clampedError
	switch {
	case errors.As(err, &clamped):
		l.add(problemAt(it.origin, Warning, it.complaint(err)))
	case err != nil:
		l.add(problemAt(it.origin, Error, it.complaint(err)))
		return
	}
	if it.env {
		text = it.source
	}
	l.number++
	l.config.values[at] = value{typed: typed, origin: it.origin, number: l.number, text: text, env: it.env, spaced: it.spaced()}
	if k.NotYet != "" && !l.config.isDefault(k, typed) {
		l.add(problemAt(it.origin, Warning, k.NotYet))
	}
}

// checkControl notes rights for a control socket that nobody they are for can reach.
func (l *loader) checkControl() {
	if l.config.ControlSocket() != "" {
		return
	}
	for _, key := range []string{"control_owner", "control_group"} {
		if get[string](l.config, GlobalSection, key) != "" {
			l.add(problemAt(l.config.Origin(GlobalSection, key), Warning, "the control socket is in the runtime directory, which only the user of the manager can enter, want control_socket in a directory that others can"))
		}
	}
}

// compareMemory notes a limit at which a worker is killed before it could be replaced, in the section that makes it so.
func (l *loader) compareMemory(section string) {
	f := l.config.Function(section)
	soft, hard := f.MaxMemory(), f.MaxMemoryHard()
	if hard == 0 || hard >= soft {
		return
	}
	at := f.Origin("max_memory_hard")
	if at.Section != section {
		at = f.Origin("max_memory")
	}
	if at.Section != section {
		return
	}
	is := func(key string, size int64) string {
		if origin := f.Origin(key); l.config.values[place{origin.Section, key}].env {
			return "from the environment"
		}
		return FormatSize(size)
	}
	l.add(problemAt(at, Error, fmt.Sprintf("max_memory_hard is %s, less than max_memory, which is %s: workers would be killed before they are replaced, want a larger max_memory_hard",
		is("max_memory_hard", hard), is("max_memory", soft))))
}

// complaint returns what is wrong with a value. One from the environment may be a secret, so of it only what is wanted is told.
func (it *item) complaint(err error) string {
	message := err.Error()
	if !it.env {
		return message
	}
	wanted := ""
	if i := strings.LastIndex(message, ", want "); i >= 0 {
		wanted = message[i:]
	}
	return "what comes from the environment does not fit and is not shown" + wanted
}

// unknown says what may be meant by a key that the section cannot hold.
func (l *loader) unknown(at place) string {
	for _, k := range l.keys {
		if k.Name != at.key {
			continue
		}
		if k.Where == Global {
			return "the key has no meaning for a function, want it in [" + GlobalSection + "]"
		}
		return "the key has no meaning in [" + GlobalSection + "], want it in the section of a function"
	}
	return "the key is unknown and has no effect" + didYouMean(at.key, l.keys.names(at.section)) + ", want a key of the reference"
}

// problemAt makes a problem at the place a value came from.
func problemAt(o Origin, severity Severity, message string) Problem {
	return Problem{
		File: o.File, Line: o.Line, Section: o.Section, Key: o.Key, Severity: severity, Message: message, Flag: o.Flag,
	}
}
