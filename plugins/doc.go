// Package plugins is what authors of Gearman workers import. A worker is a
// program whose main hands its functions to [Serve]:
//
//	func main() {
//		plugins.Serve(plugins.Func("reverse", reverse))
//	}
//
//	func reverse(ctx context.Context, job *plugins.Job) ([]byte, error) {
//		…
//	}
//
// Built and put into a directory of workers, it is found, started, counted,
// recycled and stopped by gearman-manager; the author never thinks about
// processes, connections or job servers again. Started by hand it explains
// itself, and performs one job from its standard input or works against a job
// server of the author's choice.
//
// # How a job ends
//
// What a [Handler] returns is the job's result. An error is sent to the client
// as an exception with the error's text. A panic is too, and the worker is
// then replaced, since nobody knows what it left behind. A job that runs for
// longer than its function's timeout is answered with an exception or goes back
// to the queue, as configured; the handler's context ends, and the worker is
// replaced.
//
// # What the process may rely on
//
// Standard input is /dev/null. What is written to standard output and error
// reaches the manager's log line by line; better is the job's logger, whose
// lines carry the job's handle. The environment variable GEARMAN_WORKER names
// the worker, such as "resize/3". The program may run from a private copy, which is
// what os.Executable names then; [Program] names the original. Handlers of one
// process are called one at a time unless the function's concurrency is set to more.
//
// A worker that has performed its number of jobs, is too old or too large, or whose
// handler panicked, takes no more jobs; it stays registered until its successor is,
// and leaves then. If the manager dies, the worker finishes the jobs it has in hand,
// answers them, and leaves.
package plugins
