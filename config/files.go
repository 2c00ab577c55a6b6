package config

import "slices"

// Files returns the absolute paths of all files that were read, the config file first; empty when there is none. A file may stand in
// it that could not be read.
func (c *Config) Files() []string { return slices.Clone(c.files) }

// IncludePatterns returns the absolute patterns of the files that the config includes, as [path/filepath.Match] takes them: a file that
// is new and matches one of them is a part of the config when it is read again.
func (c *Config) IncludePatterns() []string { return slices.Clone(c.patterns) }
