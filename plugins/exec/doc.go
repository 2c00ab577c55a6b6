// Package exec performs jobs by executables: one process for each job, which
// reads the workload from its standard input and writes the result to its
// standard output. The manager's own binary, in plugin mode, is the worker
// around it.
//
// # What an executable gets
//
//	argv          the function's command, as the configuration gives it
//	stdin         the workload; not reading it is no error
//	stdout        is the result
//	stderr        goes to the log by line, with the job's handle
//	descriptor 3  takes progress reports: a line "3/10" is one
//	environment   the worker's, and GEARMAN_JOB_HANDLE, GEARMAN_FUNCTION,
//	              GEARMAN_UNIQUE
//
// It leads a process group of its own, and dies when the worker does.
//
// # How a job ends
//
// The job is over when the executable itself has ended. What it wrote until then
// is the result; whatever it has left running in its group is killed, unless
// [Config.KeepGroup] spares it, and what has left the group may go on. It is not
// waited for, though it holds the descriptors.
//
//	status 0             the result
//	another status       an error: the status and the end of what went to stderr
//	killed by a signal   a *plugins.CrashError: nobody knows what was done
//	context over         the group is killed; the error is the context's cause
//	result over the cap  the group is killed; an error that names both sizes
//	not started          an error that names the file and what is wrong with it
package exec
