// Package supervisor starts processes, waits for them and kills them. It knows
// nothing else: what the processes do, and when to start another, is decided by
// its callers.
//
// # One reaper, one place that forks
//
// A [Supervisor] owns every child of this process:
//
//	Start ──► starter ──fork, exec──► child, leader of its own group
//	             │ registers                │ exits
//	             ▼                          ▼
//	         processes ◄───────────── reaper: SIGCHLD, waitid
//	             │                          │ kills the rest of the group,
//	             ▼                          │ then collects the status
//	         Process.Done ◄─────────────────┘
//
// The starter is locked to its thread (or threads, see [Config.Starters]) for as
// long as the supervisor lives, because the kernel sends Pdeathsig when the thread
// that forked ends, not when its process does. There no signal is blocked, so that
// none is in the children.
//
// The reaper is the only one that waits for children. A goroutine for each child
// that blocks in wait would cost a thread for each, and where this process is a
// child subreaper it would compete with the reaper for statuses. For the same
// reason os/exec and os.StartProcess must not be used beside a Supervisor.
//
// # Groups
//
// Each child leads a process group of its own. A group gets one signal ever,
// SIGKILL: from [Process.Kill], and after every exit of its leader, so that
// nothing a worker started outlives it (unless [Spec.KeepGroup] says so). The
// reaper first looks at an exit without collecting it, kills the group while the
// dead leader still holds the number, and only then collects: the number cannot
// belong to somebody else by that time. Signals for a leader are sent under the
// same lock, for the same reason.
//
// # Exits
//
// An exit is reported once, with the status the kernel gave, as soon as the
// leader is gone. Whether something still holds its pipes plays no part.
// Children that nobody started or expects here come to a process that is a child subreaper
// when their own parents die; they are collected too and told to
// [Config.OnOrphan]. One that died of SIGKILL takes its group along: that is what
// Pdeathsig does to the processes of a child that itself supervises some.
//
// A child that ends before its start has been recorded is not mistaken for an
// orphan: while a start is in progress the reaper leaves a child that it does
// not know alone, and looks again when that start is over.
//
// The kernel also tells when a child is stopped and continued, by the same signal:
// [Process.Stopped], [Config.OnStopped].
//
// A death by SIGKILL that was not sent from here is compared with the kernel's count
// of what it has killed for lack of memory, see [Exit].
//
// # Output
//
// A process never waits for its output to be taken: an [Output] reads as fast as the
// process writes, keeps the last lines, and hands over what is taken in time, so
// many lines a second. What is left out is counted in its place.
//
// # Adoption
//
// A process that this one has started may fork workers of its own, which is the
// cheapest way to get many of an interpreter that takes long to be ready. As its
// children they would be beyond our reach: their statuses and their groups would be
// its affair, and its death theirs. So it forks twice, and they are adopted:
//
//	Expect    before it is asked for a worker
//	          parent forks middle, middle forks worker and kills itself,
//	          the worker is now ours, parent collects middle and says so
//	Adopt     by the worker's number: leader of a group, in Processes
//	Cancel    if it does not come to that
//
// Only a child subreaper ([Config.Subreaper]) gets such workers. An Expect is to the
// reaper what a start in progress is: until Adopt or Cancel it collects no child that
// it does not know, since a worker may die at any moment, before it is adopted or
// even before it is ours. Its number cannot be in use again as long as it has not
// been collected, and Adopt takes over the zombie with its exact status. For that
// time real orphans wait as zombies, so that an Expect should last no longer than a
// fork takes; each waits only for what was expected or started before it ended, and
// known children wait for nothing.
//
// Until Adopt a worker is a member of its forker's group and dies with that, as a
// plain orphan or, if the news of it were on their way, adopted with SIGKILL as its
// end. From Adopt on the death of the forker is nothing to it.
package supervisor
