package config

import (
	"math"
	"slices"
)

// GlobalSection is the name of the section whose values hold for the manager and for all functions.
const GlobalSection = "GearmanManager"

// Where says in which sections a key has a meaning.
type Where string

const (
	// Global keys stand in [GearmanManager].
	Global Where = "global"
	// PerFunction keys stand in the section of a function.
	PerFunction Where = "function"
	// Both means that a function's section may override the value in [GearmanManager].
	Both Where = "both"
)

// Type is what the text of a value is turned into.
type Type string

const (
	// Number is a whole number between the key's Min and Max.
	Number Type = "number"
	// Seconds is a length of time in seconds; a decimal point is allowed.
	Seconds Type = "seconds"
	// Microseconds is a length of time in whole microseconds.
	Microseconds Type = "microseconds"
	// Bool is on or off.
	Bool Type = "on/off"
	// Text is taken as it is.
	Text Type = "text"
	// Path is a file or directory; a relative one is seen from the working directory at start.
	Path Type = "path"
	// PathList is several paths, comma separated without spaces, or as name[] = path, once for each.
	PathList Type = "list of paths"
	// NameList is several function names, comma separated or as name[] = function.
	NameList Type = "list of names"
	// HostList is several host[:port], comma separated or as name[] = host.
	HostList Type = "list of host[:port]"
	// Choice is one of the key's Choices.
	Choice Type = "choice"
	// Size is a number of bytes, with K, M or G behind it for 1024 bytes and its powers.
	Size Type = "size"
	// Command is a command line or a part of one, split into words as a shell does, but run without one.
	Command Type = "command"
)

// Key describes one key of the config file.
type Key struct {
	// Name is the name in the file. The names count and dedicated_count stand twice in the table, since they mean different things
	// in [GearmanManager] and in a function's section.
	Name  string
	Where Where
	Type  Type
	// Unit is the unit of a number, empty for other types.
	Unit string
	// Default is the value when none is set, written as in the file.
	Default string
	// Choices are the allowed words of a [Choice], and those that a [Size] takes beside a number.
	Choices []string
	// Min and Max bound a [Number] and a [Size]; a Max of 0 is none of its own.
	Min, Max int64
	// Flag is the letter of the command line flag that sets this key, without its dash; empty when there is none.
	Flag string
	// Doc is one sentence for help and reference.
	Doc string
	// NotYet is empty, or says that the key is read and checked but has no effect in this version, beginning with
	// "has no effect yet: ". [Load] reports it as a warning when the key is set to something else than its default.
	NotYet string
	// Ours is set for a key that GearmanManager did not have.
	Ours bool
	// Differences are what is not as it was in GearmanManager, for a key that it had or for what happens when one of ours is not set.
	Differences []Difference
}

// maxCount bounds every count of workers and slots: a number above it is a slip of the finger, not a fleet.
const maxCount = 10_000

// maxJob is the largest packet that Gearman knows: its header has 4 bytes for the size.
const maxJob = math.MaxUint32

// maxBytes bounds sizes of memory and of files: more than a machine has, far from the end of an int64.
const maxBytes = 1 << 50

// Unlimited is what a [Size] takes beside a number where there may be no limit at all.
const Unlimited = "unlimited"

// Keys returns the table of all keys, in the order of the reference. The caller owns the slice.
func Keys() []Key {
	return slices.Concat(programKeys(), countKeys(), jobKeys(), lifeKeys(), startKeys(), changeKeys(), limitKeys(), processKeys())
}

// programKeys are about what is run.
func programKeys() []Key {
	return []Key{
		{
			Name: "worker_dir", Where: Global, Type: PathList, Default: "./workers", Flag: "w",
			Doc: "Directories in which workers are found, without spaces beside the commas; a relative one is seen from the working directory at start, and symbolic links are resolved at each scan.",
		},
		{
			Name: includeKey, Where: Global, Type: NameList, Default: "*",
			Doc:         "The functions that are performed, and no other; * is all of them. Entries that end in .ini are files with further functions and do not count among these; patterns such as conf.d/*.ini are allowed.",
			Differences: spacedNames(),
		},
		{
			Name: "exclude", Where: Global, Type: NameList,
			Doc:         "Functions that are not performed although a program for them is found.",
			Differences: spacedNames(),
		},
		{
			Name: "prefix", Where: Global, Type: Text, Flag: "p",
			Doc: "Put before a function's name to get the name of the PHP function or class that performs it.",
			Differences: []Difference{{
				When: WhenOn,
				What: "for workers in PEAR's style it is not needed here: the class Net_Gearman_Job_NAME is found without it, or with the constant NET_GEARMAN_JOB_CLASS_PREFIX",
			}},
		},
		{
			Name: "command", Where: PerFunction, Type: Command, Ours: true,
			Doc: "The command line that performs the function instead of a file in worker_dir; split into words as a shell does, but run without a shell.",
		},
		{
			Name: "mode", Where: PerFunction, Type: Choice, Choices: []string{"plugin", "php", "exec", "standalone", "pear"}, Ours: true,
			Doc: "How the program of this function is run, where what the file looks like says otherwise; a command is run as exec when nothing is said.",
		},
		{
			Name: "php", Where: Global, Type: Text, Default: "php", Ours: true,
			Doc: "The interpreter of PHP workers: a path, or a name that is looked up on the PATH, such as php8.2.",
		},
		{
			Name: "php_args", Where: Global, Type: Command, Ours: true,
			Doc: "Arguments for that interpreter, such as -d memory_limit=256M; split into words as a shell does.",
		},
		{
			Name: "php_preload", Where: Global, Type: Bool, Default: "off", Ours: true,
			Doc: "Run the files of PHP workers once, before the workers are forked, instead of in each: it saves memory, but what a file opens or starts at its top level is then shared by all of them.",
		},
	}
}

// countKeys are about how many workers there are.
func countKeys() []Key {
	return []Key{
		{
			Name: "count", Where: Global, Type: Number, Unit: "slots", Default: "0", Max: maxCount, Flag: "D",
			Doc: "Workers that perform every function that is not dedicated_only; the shared pool.",
		},
		{
			Name: "count", Where: PerFunction, Type: Number, Unit: "slots", Default: "0", Max: maxCount,
			Doc: "The least number of workers that perform this function, those of the shared pool included.",
		},
		{
			Name: "dedicated_count", Where: Global, Type: Number, Unit: "slots", Default: "0", Max: maxCount,
			Doc: "Workers for each function that perform only that function, in addition to the shared pool; 0 counts as not set.",
		},
		{
			Name: "dedicated_count", Where: PerFunction, Type: Number, Unit: "slots", Default: "0", Max: maxCount,
			Doc: "The same for this function alone; 0 counts as not set.",
		},
		{
			Name: "dedicated_only", Where: PerFunction, Type: Bool, Default: "off",
			Doc: "This function is performed by its own dedicated_count workers only, never by the shared pool.",
		},
		{
			Name: "priority", Where: PerFunction, Type: Number, Default: "0", Min: -5, Max: 5,
			Doc: "Functions of higher priority are registered first; values beyond -5 and 5 are taken as these.",
			Differences: []Difference{{
				When: WhenOn,
				What: "it works as there, by the order in which a worker registers its functions, which gearmand before 2.0 serves them in; gearmand 2.0 lets them take turns, so that it has no effect",
				Do:   "under gearmand 2.0, give a function that must not wait workers of its own with dedicated_count",
			}},
		},
		{
			Name: "concurrency", Where: Both, Type: Number, Unit: "slots", Min: 1, Max: maxCount, Ours: true,
			Doc: "Jobs that one worker process performs at a time; 1 when not set, but all slots of the pool for executables, whose jobs are processes of their own.",
		},
	}
}

// jobKeys are about how a job goes and ends.
func jobKeys() []Key {
	return []Key{
		{
			Name: "timeout", Where: Both, Type: Seconds, Unit: "seconds", Default: "0", Flag: "t",
			Doc: "How long a job may take; 0 is no limit.",
			Differences: []Difference{
				{
					When: WhenFlag,
					What: "GearmanManager's help named this flag, but it had no effect there; here it has",
				},
				{
					When: WhenOn,
					What: "GearmanManager left it to gearmand, which takes it for milliseconds since 1.1.19 (and less than 1000 for 1000), and has another worker run the job beside the first; here it is seconds, the job is ended, and its client gets an exception",
					Do:   "check that the longest job needs less; on_timeout = reissue has the job queued again",
				},
			},
		},
		{
			Name: "on_timeout", Where: Both, Type: Choice, Choices: []string{"fail", "reissue"}, Default: "fail", Ours: true,
			Doc: "What happens to a job that reaches its timeout: fail answers the client with an exception, reissue has it queued again.",
		},
		{
			Name: "on_crash", Where: Both, Type: Choice, Choices: []string{"reissue", "fail"}, Default: "reissue", Ours: true,
			Doc: "What happens to the job of a worker that dies: reissue has it queued again, fail answers the client with an exception.",
		},
		{
			Name: "job_attempts", Where: Both, Type: Number, Unit: "attempts", Default: "3", Max: maxCount, Ours: true,
			Doc: "How often a job is tried whose worker dies or that is reissued, before its client gets an exception; 0 is no limit.",
			Differences: []Difference{{
				When: WhenUnset,
				What: "there a job whose worker died was run again for as long as gearmand's --job-retries let it, by default for ever; here its client gets an exception after 3 workers",
				Do:   "job_attempts = 0 tries without limit",
			}},
		},
		{
			Name: "slow", Where: Both, Type: Seconds, Unit: "seconds", Default: "0", Ours: true,
			Doc: "Jobs that take longer than this are logged when they have ended; 0 is none.",
		},
		{
			Name: "max_job_size", Where: Global, Type: Size, Unit: "bytes", Default: "64M", Min: 1, Max: maxJob, Ours: true,
			Doc: "The largest workload and result; a job over it is answered with an exception that names both sizes.",
		},
		{
			Name: "graceful_shutdown_wait_time", Where: Both, Type: Seconds, Unit: "seconds", Default: "60",
			Doc: "How long a job in hand may go on when its worker is told to leave, before the worker is killed; 0 kills it at once.",
			Differences: []Difference{
				forFunction(),
			},
		},
		{
			Name: "stop_signal", Where: PerFunction, Type: Choice, Choices: []string{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2"}, Default: "TERM", Ours: true,
			Doc: "The signal that tells a standalone worker to finish its job and leave; other workers are told in another way.",
		},
	}
}

// lifeKeys are about how long a worker lives.
func lifeKeys() []Key {
	return []Key{
		{
			Name: "max_runs_per_worker", Where: Both, Type: Number, Unit: "jobs", Default: "0", Flag: "r",
			Doc: "Jobs after which a worker is replaced; 0 is no limit.",
			Differences: []Difference{
				{
					When: WhenOn,
					What: "it is exact here; there a worker counted only while no job was waiting for it, and did more",
				},
				forFunction(),
			},
		},
		{
			Name: "max_worker_lifetime", Where: Both, Type: Seconds, Unit: "seconds", Default: "3600", Flag: "x",
			Doc: "Age at which a worker is replaced; 0 is no limit.",
			Differences: []Difference{
				{
					When: WhenOff,
					What: "0 did not switch it off there, it was 3600; here no worker is replaced for its age",
					Do:   "max_worker_lifetime = 3600 is what it was",
				},
				{
					When: WhenOn,
					What: "here a worker that is as old finishes its job; there it was killed with it at one and a half times the age, whatever the splay",
				},
				forFunction(),
			},
		},
		{
			Name: "worker_restart_splay", Where: Both, Type: Seconds, Unit: "seconds", Default: "600",
			Doc: "Each worker's lifetime is longer by a random part of this, so that they are not all replaced at once.",
			Differences: []Difference{
				{
					When: WhenOff,
					What: "0 did not switch it off there, it was 600; here workers that were started together are replaced together",
					Do:   "worker_restart_splay = 600 is what it was",
				},
				forFunction(),
			},
		},
		{
			Name: "max_memory", Where: Both, Type: Size, Unit: "bytes", Default: "0", Max: maxBytes, Ours: true,
			Doc: "Resident memory at which a worker is replaced when it has finished its job; 0 is no limit. What PHP workers share is not counted, nor the memory of programs that a worker starts.",
		},
		{
			Name: "max_memory_hard", Where: Both, Type: Size, Unit: "bytes", Default: "0", Max: maxBytes, Ours: true,
			Doc: "Resident memory at which a worker is killed at once, and its job counts as one that killed its worker; 0 is no limit. It is looked at 4 times a second while a job runs; to a worker that is faster, and to executables, the kernel refuses memory, see rlimit_data.",
		},
	}
}

// startKeys are about how workers are started, and replaced by new ones.
func startKeys() []Key {
	return []Key{
		{
			Name: "start_concurrency", Where: Global, Type: Number, Unit: "workers", Default: "0", Max: maxCount, Ours: true,
			Doc: "Workers that are started at the same time, over the whole fleet; 0 is two for each processor.",
		},
		{
			Name: "start_seconds", Where: Both, Type: Seconds, Unit: "seconds", Default: "1", Ours: true,
			Doc: "How long a worker has to live for its start to count as a success, unless it gets a job before; a standalone worker counts as ready after it.",
		},
		{
			Name: "start_retries", Where: Both, Type: Number, Unit: "starts", Default: "0", Max: maxCount, Ours: true,
			Doc: "Failed starts in a row after which no more are tried, until the program changes or \"gearman-manager retry FUNCTION\" asks for it; 0 is no limit, with 30 seconds between two tries at most.",
		},
		{
			Name: "worker_initial_spawn_splay", Where: Global, Type: Microseconds, Unit: "microseconds", Default: "0",
			Doc: "Pause between the starts of two workers when the manager starts.",
			Differences: []Difference{{
				When: WhenUnset,
				What: "there 500000 microseconds lay between the starts of two workers, also for 0; here none do, so that a fleet is up at once",
				Do:   "set it if the servers that workers connect to cannot take them all at once",
			}},
		},
	}
}

// changeKeys are about what happens when files change while the fleet runs.
func changeKeys() []Key {
	return []Key{
		{
			Name: "auto_update", Where: Global, Type: Bool, Default: "off", Flag: "a",
			Doc: "Run new code by itself when a program changes, is new or gone; when off, \"gearman-manager reload\" or SIGHUP has to ask for it.",
			Differences: []Difference{{
				When: WhenOn,
				What: "there all workers left when one of their files had a new time, which was looked at every 5 seconds; here only the workers of a program leave whose content has changed, at once, and one by one behind new ones that are ready",
				Do:   "name files that workers include in watch, they were not seen there either",
			}},
		},
		{
			Name: "reload_config", Where: Global, Type: Bool, Default: "on", Ours: true,
			Doc: "Apply a changed config file by itself; when off, \"gearman-manager reload\" or SIGHUP has to ask for it. One with errors changes nothing.",
			Differences: []Difference{{
				When: WhenUnset,
				What: "there the config file was read once; here a change of it is applied at once, if it has no errors, and only to the workers that it is about",
				Do:   "set reload_config = off if that is not wanted",
			}},
		},
		{
			Name: "watch", Where: Both, Type: PathList, Ours: true,
			Doc: "Files that a program depends on, such as a library's: when one of them changes, is new or gone, the program counts as changed. Each may be a pattern with *, ? and [a-z]; a relative one is seen from the working directory at start. A function's own list takes the place of the one in [GearmanManager].",
		},
		{
			Name: "reload_batch", Where: Both, Type: Number, Unit: "workers", Default: "1", Min: 1, Max: maxCount, Ours: true,
			Doc: "Workers of a pool that are replaced at the same time when its code has changed, once the first new one is ready.",
		},
	}
}

// limitKeys are about what the kernel holds a worker to, and all that it starts: executables too, which inherit it from their worker.
func limitKeys() []Key {
	return []Key{
		{
			Name: "rlimit_nofile", Where: Both, Type: Number, Unit: "descriptors", Default: "0", Max: 1 << 30, Ours: true,
			Doc: "Files and sockets that a worker may have open, and each program that it starts; 0 leaves it as it is.",
		},
		{
			Name: "rlimit_data", Where: Both, Type: Size, Unit: "bytes", Default: "0", Max: maxBytes, Ours: true,
			Doc: "Private writable memory that a worker may map, and each program that it starts, whether it uses it or not; 0 is as much as max_memory_hard leaves room for (one and a half times it, 256M, and 16M for each processor), or leaves it as it is where that is not set.",
		},
		{
			Name: "rlimit_core", Where: Both, Type: Size, Unit: "bytes", Choices: []string{Unlimited}, Max: maxBytes, Ours: true,
			Doc: "The largest core dump of a worker, and of each program that it starts; 0 is none at all, and when not set it is left as it is.",
		},
		{
			Name: "nice", Where: Both, Type: Number, Default: "0", Min: -20, Max: 19, Ours: true,
			Doc: "The priority of a worker, and of each program that it starts, for the processor: 19 yields to all others; below 0 it is preferred, which only root may ask for; 0 leaves it as it is.",
		},
		{
			Name: "kill_group", Where: Both, Type: Bool, Default: "on", Ours: true,
			Doc: "Kill what a worker has started and left running when the worker ends; off is for jobs that start daemons.",
			Differences: []Difference{{
				When: WhenUnset,
				What: "what a job has started and left running is killed when its worker ends; there it lived on",
				Do:   "start with setsid what has to live on, or set kill_group = off",
			}},
		},
	}
}

// processKeys are about the manager itself.
func processKeys() []Key {
	return []Key{
		{
			Name: "host", Where: Global, Type: HostList, Default: "127.0.0.1", Flag: "h",
			Doc: "The job servers; the port is 4730 where none is given.",
		},
		{
			Name: "state_dir", Where: Global, Type: Path, Ours: true,
			Doc: "Directory for what has to survive a restart; when not set, one is chosen at start.",
		},
		{
			Name: "runtime_dir", Where: Global, Type: Path, Ours: true,
			Doc: "Directory of mode 0700 for sockets and job records, made at start; when not set, one is chosen at start. Keep it short: socket paths end at 107 bytes.",
		},
		{
			Name: "verbose", Where: Global, Type: Number, Default: "0", Max: 5, Flag: "v",
			Doc: "How much is logged, 0 to 5, as -v to -vvvvv do.",
		},
		{
			Name: "log_file", Where: Global, Type: Path, Flag: "l",
			Doc: "File to log to, opened anew on SIGHUP and SIGUSR1; standard error when not set. The word syslog has no effect yet.",
		},
		{
			Name: "pid_file", Where: Global, Type: Path, Flag: "P",
			Doc: "File that holds the process id of the manager, and is locked while it runs, so that it is not started twice.",
		},
		{
			Name: "control_socket", Where: Global, Type: Path, Ours: true,
			Doc: "Unix socket on which the manager takes commands such as status and reload; when not set, it is in the runtime directory. Its path ends at 107 bytes.",
		},
		{
			Name: "control_owner", Where: Global, Type: Text, Ours: true,
			Doc: "User who owns the control socket, and may give commands; the one that the manager runs as when not set. Another one takes root.",
		},
		{
			Name: "control_group", Where: Global, Type: Text, Ours: true,
			Doc: "Group whose members may give commands; that of the manager when not set.",
		},
		{
			Name: "user", Where: Global, Type: Text, Flag: "u",
			Doc:    "User that the manager and its workers run as.",
			NotYet: "has no effect yet: everything runs as the user who starts the manager",
		},
		{
			Name: "daemon", Where: Global, Type: Bool, Default: "off", Flag: "d",
			Doc:    "Run in the background.",
			NotYet: "has no effect yet: the manager stays in the foreground",
		},
		{
			Name: "file", Where: Global, Type: Path, Flag: "c",
			Doc:    "The config file; only the flag can name it.",
			NotYet: "has no effect yet: name the config file with -c",
		},
	}
}

// spacedNames is what differs for lists of functions.
func spacedNames() []Difference {
	return []Difference{{
		When: WhenSpaced,
		What: "to GearmanManager the space beside a comma was a part of the name, so that it knew no such function; here it is left out",
		Do:   "take out the names that are not meant",
	}}
}

// forFunction is what differs for keys that GearmanManager had for the whole fleet only.
func forFunction() Difference {
	return Difference{
		When: WhenFunction,
		What: "in a function's section it had no effect there; here it holds for the function's own workers",
		Do:   "take it out if it is not meant",
	}
}

// allowed reports whether the key has a meaning in the section.
func (k Key) allowed(section string) bool {
	if section == GlobalSection {
		return k.Where != PerFunction
	}
	return k.Where != Global
}

// isList reports whether several values may be given.
func (k Key) isList() bool {
	return k.Type == PathList || k.Type == NameList || k.Type == HostList
}

// hasOff reports whether a bare off, no, none or false is a value: it is 0 or off, where for other types it counts as not set.
func (k Key) hasOff() bool {
	switch k.Type {
	case Bool, Seconds, Microseconds:
		return true
	case Number, Size:
		return k.Min <= 0
	case Text, Path, PathList, NameList, HostList, Choice, Command:
		return false
	}
	return false
}

// table finds keys by name and section.
type table []Key

// find returns the key of that name that is allowed in the section.
func (t table) find(name, section string) (Key, bool) {
	i := slices.IndexFunc(t, func(k Key) bool { return k.Name == name && k.allowed(section) })
	if i < 0 {
		return Key{}, false
	}
	return t[i], true
}

// names returns the names of the keys that the section may hold, or of all keys for the empty section.
func (t table) names(section string) []string {
	var names []string
	for _, k := range t {
		if section == "" || k.allowed(section) {
			names = append(names, k.Name)
		}
	}
	return names
}
