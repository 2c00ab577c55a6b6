// Package manager turns a config and the programs on disk into a fleet of workers, and keeps it running.
//
// The manager is the control plane only: it decides which worker processes exist and never carries a job. Every worker holds its own
// connections to the job servers and takes its own jobs.
//
// # Words
//
// Each word means one thing, in the code, in messages and in the config:
//
//   - function: a name that job servers know, and that clients submit jobs for.
//   - program: something on disk, or a command line in the config, that performs one or more functions. Its [Kind] says how it is run.
//   - worker: one child process of the manager.
//   - slot: room for one job at a time, with its own connection to every job server. Counts in the config are slots, since these are
//     what job servers see; a pool of count = 12 and concurrency = 4 is three workers of four slots.
//   - pool: the workers that are alike, of the same program and for the same functions. A dedicated pool performs one function and is
//     named after it. A shared pool performs every function of its program that is not dedicated_only. The only shared pool
//     of a fleet is named "*"; where there are several they are "*php", "*exec" and "*" with the file name of the plugin.
//   - fleet: all pools.
//   - plan: what the fleet should be; a pure function of config and programs.
//   - retire: a worker leaves as planned, because of its jobs done, age, memory, new code or a smaller count.
//   - crash: a worker leaves in any other way.
//   - rest: a worker that retires has nothing in hand, takes nothing, and stays registered until it is drained.
//   - standby: a worker more than planned, connected and held back, that takes the place of the next one that retires or crashes.
//   - suspect: a job that was in hand when its worker died; quarantined: a suspect that is not run again.
//   - failed: a pool whose workers could not be started so often that no more is tried; a function's failed jobs are something else.
//
// # From files to a plan
//
// [Scan] looks at the worker directories and the command lines of the config, and recognises each program without running it; only a
// plugin is run, through a [Describer], to learn its functions, and PHP files are loaded, through an [Inspector], to find those that
// are broken. [NewPlan] counts slots as GearmanManager does. Both collect what is wrong as [config.Problem] values. An error of theirs
// concerns one directory, program or function, which is left out, so that one broken program never stops the others; errors of
// [config.Load] concern the whole.
//
// # Counts
//
// With D the count of [GearmanManager] and f a function:
//
//   - dedicated_only: f has dedicated_count slots of its own and is not in the shared pool;
//   - otherwise f has at least the largest of its count, D and 1; dedicated_count (of f, else of [GearmanManager]) asks for that many
//     beside the D shared ones; the larger of the two is its total, and what D does not cover gets a dedicated pool.
//
// A shared pool has D slots. There is one for each program that can share: all PHP files are one program, all executables are
// one, each plugin is one. A standalone worker cannot be in one, so D does not count for it.
//
// # Kinds
//
//	kind         a worker is                                      slots of a worker        started by
//	plugin       the plugin's own process                         concurrency, else 1      plugins/host
//	exec         this project's binary, which starts the          concurrency, else all    plugins/host
//	             executables                                      of the pool
//	php          a process forked from a php that has loaded      1                        plugins/php
//	             nothing, or a php of its own
//	standalone   the program                                      1                        plugins/standalone
//
// PHP pools share one interpreter, which is looked for when the first PHP file is. Where it is missing or cannot be used, that is one
// error at the key php, and the fleet runs without these pools. Functions of a pool are registered with the job servers so that the
// first of its [PoolPlan] is served first; job servers from gearmand 2.0 on take turns instead.
package manager
