// Package config reads the ini file of the manager into a typed, defaulted, validated and immutable [Config].
//
// The file is the one GearmanManager had: a section [GearmanManager] for what holds for all functions, and one section for each
// function. [Keys] is the single table behind it: the parser, the command line, the help and the reference are made from it.
//
//	[GearmanManager]
//	worker_dir = ./workers
//	count      = 10
//
//	[resize]
//	dedicated_count = 5
//	timeout         = 30 ; seconds
//
// # What a value means
//
// A value means what PHP's parse_ini_file (with sections, normal mode) makes of it, because that is what read these files before:
//
//   - a semicolon outside quotes begins a comment, # never does, a backslash at the end of a line continues nothing;
//   - yes, on and true are "1"; no, off, none, false and null are empty, in any case of letters and only without quotes;
//     an empty value counts as not set, but a bare no, off, none or false is 0 for a number or a time, and off for a switch;
//   - quotes are taken off wherever they stand, and a quoted text may go on over several lines;
//   - ${NAME} and ${NAME:-default} are the value of a variable of the environment, or the default when there is none of that name, outside
//     quotes and between double ones; a backslash before the $ between double quotes keeps it;
//   - of a key that stands twice in a section the last one counts (a warning says so), name[] = value appends to a list.
//
// It is stricter in a few places where PHP would guess, each an error that says so and asks for quotes: the operators & | ^ ~ ! ( )
// in a bare value, what begins with ${ and is not of these two forms, ${NAME} in the name of a section, a $ that swallows what follows it, an apostrophe that is never closed, two of them with text behind, a zero byte, text behind a
// section's closing bracket, and a section that stands twice (PHP drops the first one). Names of PHP constants are plain words
// here, and spaces around a section's name or at the end of the file's last line are left out.
// PHP looks for ${NAME} among its own settings first, which there are none of here; a default takes PHP 8.3 there.
//
// The keys command and php_args are ours and hold a command line, so their quotes are the shell's and stay: command = sh -c 'a; b' is
// three words. Only when the whole value is one quoted text are the quotes the file's: command = "wc -l" is two words. In them ${NAME} is
// replaced where a shell would, not between single quotes, and what comes in its place never turns into a quote: outside quotes it is
// split at spaces, between them it is part of one word.
//
// What comes from the environment may be a secret: no problem, note or origin shows it, but for the names of files that are included.
//
// # Files
//
// Entries of include in [GearmanManager] that end in .ini are files, seen from the directory of the config file, or patterns for files,
// which may match none. They hold sections of functions; each section stands in one file only. Patterns do not match files whose names
// begin with a dot, nor the config file itself. A file that is included cannot include others.
//
// [Save] sets values in one of these files, as text: what it does not change stays as it is, comments and all.
//
// # How it is read
//
// A scanner of our own splits the file into statements, because it has to know the line of each section and key and PHP's rules for
// values. What survives goes through gopkg.in/ini.v1 as plain statements with every value quoted, all of its own interpretation
// switched off; its sections, keys and lists are what the table of keys is applied to.
//
// Problems are collected, never one at a time: each [Problem] names file, line, section and key (or the command line flag), says
// what is wrong and what is wanted. A value with a problem counts as not set, so one mistake does not hide the next.
//
// Nothing here runs in the background: there are no goroutines and no watching, and a [Config] never changes after [Load], so it
// may be used by any number of goroutines.
package config
