// Command bench compares workers on one job server, in one run, and prints a
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
// A third table is about operation: what it takes to start, to replace and to stop
// workers, and what a manager costs that has nothing to do. There the Go plugin and
// the PHP worker file are side by side with the PHP loop under a fork manager, a PHP
// program of 60 lines that forks the loops and forks the next one as soon as one has
// ended. It is what replacing a worker can cost at the least, as it does nothing
// else: it looks after nobody, and its workers die of SIGTERM with the job in hand.
//
// A fourth table is about reload: what it takes to change a fleet that runs. The
// fork manager is there again, as what one does without a reload: it is stopped and
// started anew. Again it is what that can cost at the least, as its workers are forked
// in an instant and leave without a word; while it is away nobody performs jobs.
//
// Everything runs on 127.0.0.1 against a gearmand that the program starts for
// itself. A run visits, for each number of workers, every contender in turn, so
// that noise of the machine hits all of them alike; the order turns from run to
// run. Each figure is warmed up first, lasts a given time, and every result of
// every job is compared with what it has to be. The table gives the median over
// the runs and the smallest and the largest figure.
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
//   - of operation, with 50 workers: as for a crowd, where with each successor there
//     has to be a new process in the place of the one killed; and the time from
//     SIGTERM to the manager until its process has ended. It is an error if another
//     process of the fleet is there then.
//   - of operation, under load: jobs/s with 50 in flight while each worker is replaced
//     after 1,000 jobs, after 100, or after each job, beside the figure of workers that
//     are never replaced; the ratio is taken within a run, of figures that were taken
//     one after the other. A job is done in an instant, or its worker waits for 2 ms
//     first, without using CPU. These figures last half the time of the others.
//   - of operation, at rest: how often the threads of the manager process have stopped
//     to wait in 10 s, which is how often they have woken up (voluntary_ctxt_switches
//     of all threads in /proc); and the PSS of the manager process. Its workers, and the
//     PHP process that workers are forked from, are in neither.
//   - of reload, with 4 and 50 workers: the time from the moment that a new program is
//     in the place of the old one (rename) to the first answer of its code, and until no
//     old worker is left and all new ones are registered; and the smallest number of
//     registered workers in between, for which the job server is asked every 2 ms, and
//     which is wanted to be that of the plan in each run. Workers are idle but for jobs
//     now and then that are done in an instant, or have jobs of 0.2 s in hand while
//     more wait. The manager notices the file (auto_update = 1), which takes 300 ms of
//     quiet; or, with 4 workers, is told with reload as soon as the file is there. The
//     fork manager is stopped and started at that moment both times.
//   - of reload, by config: the time from the moment that a config with 50 instead of 4
//     workers is in place until the job server counts 50.
//   - of status: the time of the commands status and workers, and of a call of /v1/status
//     from connect to answer, for a fleet of 500 slots: 500 forked PHP workers, or Go
//     plugins that have 10 slots each. The commands are run 5 times in each run, the
//     call is made 100 times; their median counts, and the call's 99th percentile.
//   - of watching: wakeups as above, and CPU, of an idle manager with 100 worker files and
//     one worker, that watches config and files, and of one that watches nothing, at the
//     same time for 30 s, in the first run only. The directories above them are watched,
//     too, so that what others do in the temporary directory counts.
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
