package config

import "fmt"

// Origin says where a value came from, for tables and messages.
type Origin struct {
	// File and Line name the place in the config file. File is empty when the value did not come from it; Line is 0 also when the file is
	// not an ini file, and Section and Key say it all.
	File string
	Line int
	// Section and Key name the value that was looked up. Section is [GlobalSection] for a value that a function inherits.
	Section string
	Key     string
	// Flag is the command line flag that gave the value, such as "-D".
	Flag string
}

// IsDefault reports whether neither file nor flag gave the value.
func (o Origin) IsDefault() bool { return o.Line == 0 && o.File == "" && o.Flag == "" }

// seenFrom returns "line 3" in the file itself, and "file:3" in another one.
func (o Origin) seenFrom(file string) string {
	switch {
	case o.File == file:
		return fmt.Sprintf("line %d", o.Line)
	case o.Line == 0:
		return o.File
	default:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
}

// String returns "[section] key at file:line", "[section] key in file", "flag -D" or "default".
func (o Origin) String() string {
	switch {
	case o.Flag != "":
		return "flag " + o.Flag
	case o.Line != 0:
		return fmt.Sprintf("[%s] %s at %s:%d", o.Section, o.Key, o.File, o.Line)
	case o.File != "":
		return fmt.Sprintf("[%s] %s in %s", o.Section, o.Key, o.File)
	default:
		return "default"
	}
}
