// Command bench compares workers on one job server, in one run, and prints one
// table: jobs a second, CPU time a job, and memory, of a Go plugin, of an
// executable and of a PHP worker file under gearman-manager, and of what else
// performs Gearman jobs: PHP on pecl/gearman, a C worker on libgearman, and the
// gearman tool of Debian.
//
// PHP on pecl/gearman is there twice: as the bare loop, non-blocking with wait()
// when there is nothing to do, and with all that a worker process of
// GearmanManager does around a job on its own: one wrapper for all functions that
// looks the worker file's function up, log lines at levels that are off, a count,
// and limits that are looked at. That is what someone who comes from there leaves
// behind; the same worker file runs in it and under gearman-manager.
//
// A second table is about a crowd: 50 workers of a worker file of 2,500 lines,
// forked with opcache as gearman-manager does it by default, with the file run
// before the fork (php_preload), and with a php of its own for each worker.
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
//   - of a crowd: the PSS of manager, PHP parent and workers together after work
//     and rest, and that of the manager alone; the time from the start of the
//     manager until the job server counts all workers; and the time from a kill -9
//     of a worker, ten of them in each run, until the job server, which has had one
//     less in between, counts as many as before.
//
// The load comes from four connections, one for each I/O thread of gearmand, that
// submit a job for each one that ends; a single job in flight goes over them in
// turn. What CPU it took itself is printed under the table, since on a small machine
// it takes it from the workers; so is the load average of the minute before, by
// which a run on a busy machine is told.
//
// The program needs Debian's gearman-job-server; a contender whose programs are
// missing is left out, with the packages to install. One that can run and does not
// is an error, which ends the comparison with the end of its output. It builds into a temporary
// directory and leaves no process behind.
package main
