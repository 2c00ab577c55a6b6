package supervisor

import (
	"os"

	"golang.org/x/sys/unix"
)

// reaper waits for all children. Its fields belong to its own goroutine.
type reaper struct {
	sup      *Supervisor
	sigchld  chan os.Signal
	settled  chan struct{} // a start is over, and a child was waiting for that; 1 buffered
	quit     chan struct{}
	onOrphan func(Exit)
	oom      *oomKills

	unknown      int    // a child that was not known while starts were in progress
	unknownStart uint64 // number of the last start that had begun then
}

func (r *reaper) run() {
	r.reap() // what ended before SIGCHLD was caught
	r.noteChanges()
	for {
		select {
		case <-r.sigchld:
		case <-r.settled:
		case <-r.quit:
			r.reap()
			return
		}
		r.reap()
		r.noteChanges()
	}
}

// reap collects every child that has ended. One signal may stand for many.
func (r *reaper) reap() {
	for {
		pid := peek(unix.P_ALL, 0)
		if pid == 0 {
			r.forget()
			return
		}
		if !r.take(pid) {
			r.reapKnown()
			return
		}
	}
}

// take collects one child that has ended. It refuses one that may belong to a
// start in progress, which knows the number only when the program is executed, or
// collects it itself if that fails; or that may be expected, see [Expected].
func (r *reaper) take(pid int) bool {
	var upTo uint64
	if r.unknown == pid {
		upTo = r.unknownStart
	}
	p, mayBeStart, last := r.sup.claim(pid, upTo)
	if p != nil {
		if r.unknown == pid { // it has been adopted
			r.forget()
		}
		p.collect(r.oom)
		return true
	}
	if mayBeStart {
		r.unknown, r.unknownStart = pid, last
		return false
	}
	r.forget()
	killOrphanedGroup(pid)
	exit, err := collect(pid)
	if err == nil && r.onOrphan != nil {
		r.onOrphan(exit)
	}
	return true
}

func (r *reaper) forget() { r.unknown, r.unknownStart = 0, 0 }

// killOrphanedGroup kills what is left in the group of an orphan that died of
// SIGKILL, as it does for our own: nobody else will, since whoever looked after
// that group is dead as well. Leaders that ended otherwise are not told from the
// parents of daemons, which end on purpose. The orphan, which has not been
// collected yet, keeps the group's number from being used again.
func killOrphanedGroup(pid int) {
	if !killed(pid) {
		return
	}
	if group, err := unix.Getpgid(pid); err == nil && group == pid {
		_ = unix.Kill(-pid, unix.SIGKILL)
	}
}

// reapKnown collects the processes that were started or adopted here. It asks for each: used
// while an unknown child, which has to wait, would hide them.
func (r *reaper) reapKnown() {
	for _, p := range r.sup.Processes() {
		if peek(unix.P_PID, p.pid) == p.pid {
			r.take(p.pid)
		}
	}
}
