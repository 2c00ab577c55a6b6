package config

import (
	"cmp"
	"reflect"
	"slices"
	"time"
)

// Config is what a config file and the command line say, with defaults for the rest. It never changes and may be used concurrently.
// The zero value is not usable; [Load] and [Parse] make one. Slices that it returns belong to the caller.
type Config struct {
	file     string
	files    []string
	patterns []string
	cwd      string
	keys     table
	values   map[place]value
	sections map[string]Origin
	names    []string
}

// value is a typed value and where it came from.
type value struct {
	typed  any
	origin Origin
	// number is the order in which values were set, text the value as it was given, spaced what item.spaced says.
	number int
	text   string
	spaced bool
	// env is true when a part of it came from the environment; text is as it is written in the file then.
	env bool
}

// functions returns the sections that are a function's, in the order of the file.
func (d *document) functions() []string {
	return slices.DeleteFunc(slices.Clone(d.names), func(name string) bool { return name == GlobalSection || name == "" })
}

// sortProblems puts problems in the order of the files and their lines: flags and what is wrong with a whole file first.
func sortProblems(problems []Problem, files []string) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)), cmp.Compare(a.Line, b.Line))
	})
}

// defaultOf returns the default of a key, or nil when there is none. The table's defaults are checked by a test.
func (c *Config) defaultOf(k Key) any {
	if k.Default == "" {
		return nil
	}
	typed, err := k.convert(&item{values: []string{k.Default}}, c.cwd)
	if err != nil {
		return nil
	}
	return typed
}

// isDefault reports whether a typed value is what would hold without it.
func (c *Config) isDefault(k Key, typed any) bool {
	return reflect.DeepEqual(c.defaultOf(k), typed)
}

// find returns the value for a function: its own, else that of [GearmanManager] where the same key holds for both, else the default.
// For the global section itself only the last two are looked at.
func (c *Config) find(section, key string) (any, Origin) {
	k, ok := c.keys.find(key, section)
	if !ok {
		return nil, Origin{Section: section, Key: key}
	}
	if v, ok := c.values[place{section, key}]; ok {
		return v.typed, v.origin
	}
	if v, ok := c.values[place{GlobalSection, key}]; ok && k.Where == Both {
		return v.typed, v.origin
	}
	return c.defaultOf(k), Origin{Section: section, Key: key}
}

// get returns the value of find as T, the zero T when there is none.
func get[T any](c *Config, section, key string) T {
	typed, _ := c.find(section, key)
	v, _ := typed.(T)
	return v
}

// Origin says where the value of a key came from that holds for a function, or for the whole with [GlobalSection].
func (c *Config) Origin(section, key string) Origin {
	_, origin := c.find(section, key)
	return origin
}

// File returns the config file as it was named to [Load], empty when there is none.
func (c *Config) File() string { return c.file }

// Sections returns the names of the functions that have a section, in the order of the files.
func (c *Config) Sections() []string { return slices.Clone(c.names) }

// SectionLine returns the line on which the section of a function begins, 0 when it has none or the file is not an ini file.
func (c *Config) SectionLine(name string) int { return c.sections[name].Line }

// SectionOrigin says where the section of a function begins, or [GlobalSection]; without one it is the config file as a whole.
func (c *Config) SectionOrigin(name string) Origin {
	if origin, ok := c.sections[name]; ok {
		return origin
	}
	return Origin{File: c.file, Section: name}
}

// WorkerDirs returns the directories to search for workers, absolute, with symbolic links as they are written.
func (c *Config) WorkerDirs() []string {
	return slices.Clone(get[[]string](c, GlobalSection, "worker_dir"))
}

// Include returns the functions that are performed; empty means all.
func (c *Config) Include() []string {
	list := get[[]string](c, GlobalSection, "include")
	if slices.Equal(list, []string{"*"}) {
		return nil
	}
	return slices.Clone(list)
}

// Exclude returns the functions that are not performed.
func (c *Config) Exclude() []string { return slices.Clone(get[[]string](c, GlobalSection, "exclude")) }

// Included reports whether include and exclude leave the function in.
func (c *Config) Included(name string) bool {
	include := get[[]string](c, GlobalSection, "include")
	all := len(include) == 0 || slices.Equal(include, []string{"*"})
	return (all || slices.Contains(include, name)) && !slices.Contains(get[[]string](c, GlobalSection, "exclude"), name)
}

// Prefix returns what stands before a function's name in the name of its PHP function or class.
func (c *Config) Prefix() string { return get[string](c, GlobalSection, "prefix") }

// PHP returns the interpreter of PHP workers as it is written: a path, or a name to look up on the PATH; a relative path is seen from the
// working directory.
func (c *Config) PHP() string { return get[string](c, GlobalSection, "php") }

// PHPArgs returns the arguments for that interpreter, nil when there are none.
func (c *Config) PHPArgs() []string {
	return slices.Clone(get[[]string](c, GlobalSection, "php_args"))
}

// PHPPreload reports whether worker files are run before the workers are forked.
func (c *Config) PHPPreload() bool { return get[bool](c, GlobalSection, "php_preload") }

// Count returns the slots of the shared pool.
func (c *Config) Count() int { return get[int](c, GlobalSection, "count") }

// DedicatedCount returns the dedicated slots of each function that has no own number; 0 is not set.
func (c *Config) DedicatedCount() int { return get[int](c, GlobalSection, "dedicated_count") }

// Hosts returns the job servers as host:port, in the order of the config, none twice.
func (c *Config) Hosts() []string { return slices.Clone(get[[]string](c, GlobalSection, "host")) }

// MaxJobSize returns the largest workload and result in bytes.
func (c *Config) MaxJobSize() int64 { return get[int64](c, GlobalSection, "max_job_size") }

// StartConcurrency returns how many workers are started at the same time; 0 is two for each processor.
func (c *Config) StartConcurrency() int { return get[int](c, GlobalSection, "start_concurrency") }

// InitialSpawnSplay returns the pause between two starts when the manager starts.
func (c *Config) InitialSpawnSplay() time.Duration {
	return get[time.Duration](c, GlobalSection, "worker_initial_spawn_splay")
}

// StateDir returns the absolute directory for what survives a restart, empty when one has to be chosen.
func (c *Config) StateDir() string { return get[string](c, GlobalSection, "state_dir") }

// RuntimeDir returns the absolute directory for sockets and job records, empty when one has to be chosen.
func (c *Config) RuntimeDir() string { return get[string](c, GlobalSection, "runtime_dir") }

// Verbose returns the level of logging, 0 to 5.
func (c *Config) Verbose() int { return get[int](c, GlobalSection, "verbose") }

// LogFile returns the absolute path of the log, the word "syslog", or nothing.
func (c *Config) LogFile() string { return get[string](c, GlobalSection, "log_file") }

// PidFile returns the absolute path of the pid file, or nothing.
func (c *Config) PidFile() string { return get[string](c, GlobalSection, "pid_file") }

// ControlSocket returns the absolute path of the socket for commands, empty when one has to be chosen.
func (c *Config) ControlSocket() string { return get[string](c, GlobalSection, "control_socket") }

// ControlOwner returns the name or number of the user who owns that socket, empty when that is left as it is.
func (c *Config) ControlOwner() string { return get[string](c, GlobalSection, "control_owner") }

// ControlGroup returns the name or number of the group whose members may use that socket, empty when that is left as it is.
func (c *Config) ControlGroup() string { return get[string](c, GlobalSection, "control_group") }

// User returns the user to run as, or nothing.
func (c *Config) User() string { return get[string](c, GlobalSection, "user") }

// Daemon reports whether the manager is to run in the background.
func (c *Config) Daemon() bool { return get[bool](c, GlobalSection, "daemon") }

// AutoUpdate reports whether workers are replaced by themselves when their program changes.
func (c *Config) AutoUpdate() bool { return get[bool](c, GlobalSection, "auto_update") }

// ReloadConfig reports whether a changed config file is applied by itself.
func (c *Config) ReloadConfig() bool { return get[bool](c, GlobalSection, "reload_config") }

// Function returns what holds for a function, whether it has a section or not.
func (c *Config) Function(name string) Function { return Function{config: c, name: name} }

// Defaults returns what holds for a pool of several functions, and for a function without a section of its own.
func (c *Config) Defaults() Function { return Function{config: c, name: GlobalSection} }
