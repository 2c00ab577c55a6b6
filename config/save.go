package config

import "errors"

// Change is a value to set in a config file.
type Change struct {
	// Section is the name of a function or [GlobalSection], Key that of a key, Value what it is to be, without quotes.
	Section, Key, Value string
}

// Save writes values into an ini file and leaves the rest of it as it is.
func Save(_ string, _ []Change) error { return errors.ErrUnsupported }

// FileOf returns the file in which the section stands, where a value of it is to be saved. For a section that is nowhere it is the config
// file.
func (c *Config) FileOf(section string) string { return c.SectionOrigin(section).File }
