package phpconfig

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/gearman-manager/gearman-manager/config"
)

// answer is what read.php says of a config file. A []byte is base64 there.
type answer struct {
	Set      bool    `json:"set"`
	Config   value   `json:"config"`
	Fault    *fault  `json:"fault"`
	Warnings []fault `json:"warnings"`
	// Files are the config file and all that it has included, without symbolic links.
	Files [][]byte `json:"files"`
	// printed is what the file wrote to standard output, shortened.
	printed string
}

// fault is something that PHP complains of.
type fault struct {
	// Kind is warning, parse, fatal, throw or exit.
	Kind    string `json:"kind"`
	Message []byte `json:"message"`
	File    []byte `json:"file"`
	Line    int    `json:"line"`
}

// value is one value of PHP.
type value struct {
	// Kind is text (also for numbers, and 1 for true), false, null, array, deep for an array in too many others, or other.
	Kind string `json:"kind"`
	// Text is the value of a text, or the type of another.
	Text    []byte  `json:"text"`
	Entries []entry `json:"entries"`
}

// entry is one entry of an array.
type entry struct {
	Key   []byte `json:"key"`
	Value value  `json:"value"`
}

// remarks are what is strange though the file can be used.
func (a *answer) remarks(path string) (problems []config.Problem) {
	for _, w := range a.Warnings {
		problems = append(problems, w.problem(path, config.Warning, "PHP warns: "+string(w.Message)))
	}
	if a.printed != "" {
		problems = append(problems, config.Problem{
			File: path, Severity: config.Warning, Message: fmt.Sprintf("the file prints %q, which nobody sees, want one that prints nothing", a.printed),
		})
	}
	return problems
}

// problem puts a fault at its place: in the config file, or in one that it includes.
func (f fault) problem(path string, severity config.Severity, message string) config.Problem {
	p := config.Problem{File: path, Line: f.Line, Severity: severity, Message: oneLine(message)}
	if file := string(f.File); file != "" && !same(file, path) {
		p.File = file
		p.Message += " (while " + path + " was read)"
	}
	return p
}

// oneLine returns a text of PHP's so that it cannot disturb a terminal or a log line.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	return strings.Join(strings.Fields(text), " ")
}

// why says what kept the file from being read.
func (f fault) why() string {
	switch f.Kind {
	case "parse", "fatal":
		return string(f.Message)
	case "exit":
		return "the file ends the program that reads it, want one that only sets $gearman_config"
	default:
		return "the file throws " + string(f.Message)
	}
}

// wanted is what a file has to set.
const wanted = "want $gearman_config = ['" + config.GlobalSection + "' => [...], 'function' => [...]]"

// source makes sections and values of the array. It is nil when there is none.
func (a *answer) source(path string) (*config.Source, []config.Problem) {
	problem := func(message string) (*config.Source, []config.Problem) {
		return nil, []config.Problem{{File: path, Severity: config.Error, Message: message}}
	}
	switch {
	case a.Fault != nil:
		return nil, []config.Problem{a.Fault.problem(path, config.Error, a.Fault.why())}
	case !a.Set:
		return problem("the file does not set $gearman_config, " + wanted)
	case a.Config.Kind != "array":
		return problem("$gearman_config is " + a.Config.name() + ", " + wanted)
	}
	source := &config.Source{Name: path, Files: a.included(path)}
	var problems []config.Problem
	for _, section := range a.Config.Entries {
		if fault := addSection(source, section); fault != "" {
			problems = append(problems, config.Problem{File: path, Section: string(section.Key), Severity: config.Error, Message: fault})
		}
	}
	return source, problems
}

// included returns the files that the config file has included: a change of one may change the config.
func (a *answer) included(path string) (files []string) {
	for _, file := range a.Files {
		if name := string(file); filepath.IsAbs(name) && !same(name, path) {
			files = append(files, name)
		}
	}
	return files
}

// addSection adds a section with its values to the source, or says what is wrong with it.
func addSection(source *config.Source, section entry) (fault string) {
	name := string(section.Key)
	switch {
	case name == "":
		return "a section of $gearman_config has no name, want 'function' => [...] or '" + config.GlobalSection + "' => [...]"
	case section.Value.Kind != "array":
		return fmt.Sprintf("the section is %s, want '%s' => [...]; keys of the manager stand in '%s' => [...]", section.Value.name(), name, config.GlobalSection)
	}
	source.Sections = append(source.Sections, name)
	for _, e := range section.Value.Entries {
		v := config.Value{Section: name, Key: string(e.Key)}
		e.Value.fill(&v)
		source.Values = append(source.Values, v)
	}
	return ""
}

// fill gives a config value the texts that the same value would have in an ini file.
func (v value) fill(to *config.Value) {
	switch v.Kind {
	case "text":
		to.Texts = []string{string(v.Text)}
	case "false":
		to.Texts, to.Off = []string{""}, true
	case "null":
	case "array":
		to.List = true
		for _, e := range v.Entries {
			switch e.Value.Kind {
			case "text":
				to.Texts = append(to.Texts, string(e.Value.Text))
			case "false", "null": // nothing is listed
			default:
				to.Fault = "an entry of the list is " + e.Value.name() + ", want texts"
			}
		}
	default:
		to.Fault = "the value is " + v.name() + ", want a text, a number, true, false, null or a list of them"
	}
}

// name says what kind of value it is, for people.
func (v value) name() string {
	switch v.Kind {
	case "text":
		return "a text or a number"
	case "array", "deep":
		return "an array"
	case "other":
		return "of the type " + oneLine(string(v.Text))
	default:
		return v.Kind
	}
}
