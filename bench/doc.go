// Command bench compares workers on one job server, in one run, and prints one
// table: jobs a second, CPU time a job, and memory, of our Go plugin and our
// exec worker under gearman-manager, and of what else performs Gearman jobs: a
// PHP worker in the loop that GearmanManager runs, a C worker on libgearman,
// and the gearman tool of Debian.
//
// Everything runs on 127.0.0.1 against a gearmand that the program starts for
// itself. A run visits, for each number of workers, every contender in turn, so
// that noise of the machine hits all of them alike; the order turns from run to
// run. Each figure is warmed up first, lasts a given time, and every result of
// every job is compared with what it has to be. The table gives the median over
// the runs and, beneath it, the smallest and the largest figure.
//
// Figures:
//
//   - jobs/s: foreground jobs completed, with 1 or 50 of them in flight. A job
//     of 32 bytes is reversed, or has its lines counted by wc -l.
//   - CPU a job: user and system time of the worker processes and of those that
//     they started and waited for, over the jobs done, at 50 in flight.
//   - memory: the proportional set size (PSS) of all processes of the contender,
//     the manager included where there is one, after work and a time of rest.
//   - manager: the CPU of the manager process alone, in percent of one core, at
//     50 in flight; the larger of its figures at 1 and at 4 workers.
//   - ratio: jobs/s at 50 in flight over those of the contender named, as the
//     median of the ratios within each run, for 1 and for 4 workers.
//
// The load comes from four connections, one for each I/O thread of gearmand, that
// submit a job for each one that ends; a single job in flight goes over them in
// turn. What CPU it took itself is printed under the table, since on a small machine
// it takes it from the workers; so is the load average of the minute before, by
// which a run on a busy machine is told.
//
// The program needs Debian's gearman-job-server; a contender whose programs are
// missing is left out, with the packages to install. It builds into a temporary
// directory and leaves no process behind.
package main
