package manager

import (
	"context"

	"github.com/gearman-manager/gearman-manager/config"
)

// Kind says how a program is run.
type Kind string

const (
	// KindPlugin is a Go program built with package plugins: it declares its functions itself.
	KindPlugin Kind = "plugin"
	// KindPHP is a PHP file as GearmanManager ran it: one function, named like the file.
	KindPHP Kind = "php"
	// KindExec is an executable that is started for each job, the workload on its standard input.
	KindExec Kind = "exec"
	// KindStandalone is a program that is a Gearman worker by itself and is only supervised.
	KindStandalone Kind = "standalone"
)

// Program is something that performs one or more functions.
type Program struct {
	// Path is the absolute path of the file that is run, in a directory whose symbolic links are resolved.
	Path string
	// Named is that path with the directory's symbolic links as the config has them: what the program goes by, whatever a link in it leads to.
	Named string
	Kind  Kind
	// Functions are those that the config lets through, in the order in which the program declares them; never empty.
	Functions []string
	// Command is the argument vector for exec and standalone, beginning with Path; nil for other kinds.
	Command []string
	// Version is what a plugin says of itself; it may be empty.
	Version string
	// Pear is set for a PHP file in the style of PEAR's Net_Gearman (mode = pear).
	Pear bool
	// Run is the path of what is executed: the private copy of a plugin. Empty where Path itself is.
	Run string
	// Hash is the SHA-256 of the program's content, of the files that its functions' watch names included, in hexadecimal digits; empty
	// where that is not known.
	Hash string
	// FileHash is that of the file alone; empty where that is not known.
	FileHash string
	// Fault says why the program is not taken as the disk holds it, where an earlier version goes on to run. Empty otherwise.
	Fault string
	// Broken is set where a problem says why the program cannot be run. It is not planned, but its functions are known.
	Broken bool
	// Origin says where the config names the program: a command line, a mode, or worker_dir.
	Origin config.Origin
}

// Description is what a plugin says of itself.
type Description struct {
	// Functions are the functions it performs, in the order in which it declares them.
	Functions []string
	// Version is its own version, for people.
	Version string
	// Protocol is the version of the contract it was built with.
	Protocol int
}

// Describer runs a plugin to learn what it performs. [Scan] calls it from several goroutines.
type Describer interface {
	// Describe starts the plugin at path, asks it, and ends it, within a deadline of its own or that of ctx. What is executed is run, a private
	// copy of it, unless that is empty. Its error says what is wrong with the plugin: that it printed something else, ended, or speaks another version.
	Describe(ctx context.Context, path, run string) (Description, error)
}

// PHPFile is a worker file that an [Inspector] looks at.
type PHPFile struct {
	Function string
	// Path is absolute.
	Path string
	// Symbol is the name of the function or class that performs it: the prefix and the function's name.
	Symbol string
	// Pear is set for a class in the style of PEAR's Net_Gearman.
	Pear bool
}

// PHPFault is what is wrong with a worker file.
type PHPFault struct {
	// Path is that of the [PHPFile].
	Path string
	// Problem says it in a few words.
	Problem string
	// File and Line say where it is, in the worker file or in one that it includes. File is empty and Line 0 where that is not known.
	File string
	Line int
}

// Inspector looks for PHP files that cannot be run.
type Inspector interface {
	// Inspect loads the files as a worker does, in a process that ends with it, and returns a fault for each that is broken. It blocks
	// until all were loaded. An error concerns PHP itself and ends a sentence: no file can be run.
	Inspect(ctx context.Context, files []PHPFile) ([]PHPFault, error)
}
