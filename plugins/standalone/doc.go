// Package standalone is the manager's side of a worker that is a Gearman worker by
// itself: any program that connects to the job servers, registers its functions and
// performs jobs without knowing of a manager. It is only supervised.
//
// # What such a program gets, and has to do
//
// It is started with its standard input at /dev/null; what it prints is read by line.
// Two variables are added to its environment:
//
//	GEARMAN_SERVERS   host:port,host:port: the job servers, in order
//	GEARMAN_WORKER    pool/number: who it is
//
// libgearman 1.1, and with it pecl/gearman and the tool gearman, adds the servers of that
// variable to each worker by itself. A program that adds them again is connected, and
// counted, twice.
//
// It stays in the foreground, and leaves when it gets the stop signal, SIGTERM if
// nothing else is said: best after its job in hand. The same signal comes from the
// kernel when the manager dies, however that happens; a program that is set-user-ID or
// has file capabilities loses it. The signals go to the program alone; what it has
// started is killed with its group after it has ended, unless KeepGroup is said.
//
// # A worker's life
//
//	Start ─► runs for StartSeconds ─► ready ───────────────► Drain ─► stop signal ─► ends ─► Left
//	               │                    │ too old, too large             ▲             ▲
//	               ▼ ends               └────────────► Retiring ─────────┘             │
//	          *StartError                                  works on             or by itself, with status 0
//
// Since such a program tells nothing, nothing is known of what it does: not whether it
// is connected, not what it has in hand, nor how many jobs it has done. There are no
// Ready, Busy or Idle events, and Left carries no counters. Of the limits, age and
// memory are watched here; a number of jobs cannot be. A worker that is too old or too
// large works on, unaware, until it is drained: its successor can be ready before.
//
// # Memory
//
// The memory that counts is the resident set of the program itself, without that of
// its children, as the kernel shows it in /proc/PID/statm. It is read every second, by
// one timer for all workers of a [Host], and only while one of them has such a limit.
// A manager without has nothing to wake up for.
package standalone
