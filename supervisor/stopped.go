package supervisor

import (
	"golang.org/x/sys/unix"
)

// Stopped tells whether the process has been stopped (SIGSTOP, SIGTSTP, SIGTTIN,
// SIGTTOU) and not been continued since. It is told by the kernel at once, see
// [Config.OnStopped]. A process that a debugger holds does not count as stopped, and
// one that has ended does not either.
func (p *Process) Stopped() bool { return p.stopped.Load() }

// noteChanges takes from the kernel which children have been stopped and continued.
// Each is told once, so that those of children that are not known yet are
// remembered as "some": see registry.recheck.
func (r *reaper) noteChanges() {
	for {
		pid, stopped := changed()
		if pid == 0 {
			break
		}
		if p := r.sup.changedProcess(pid); p != nil {
			r.note(p, stopped)
		}
	}
	for _, p := range r.sup.takeRecheck() {
		p.mu.Lock()
		stopped := !p.reaped && isStopped(p.pid)
		p.mu.Unlock()
		if stopped {
			r.note(p, true)
		}
	}
}

func (r *reaper) note(p *Process, stopped bool) {
	if p.stopped.Swap(stopped) != stopped && r.sup.cfg.OnStopped != nil {
		r.sup.cfg.OnStopped(p, stopped)
	}
}

// changedProcess returns the process of that number, nil if it is not known. Then it
// may belong to a start in progress.
func (s *Supervisor) changedProcess(pid int) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.reg.procs[pid]
	if p == nil && len(s.reg.pending) > 0 {
		s.reg.strangers = true
	}
	return p
}

func (s *Supervisor) takeRecheck() []*Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.reg.recheck
	s.reg.recheck = nil
	return all
}

// isStopped reads the state of a child. T is a stopped one; t, one that a debugger
// holds, is not meant.
func isStopped(pid int) bool {
	stat, err := readStat(pid)
	return err == nil && stat.state == 'T'
}

// si_code of a child that has been stopped or continued: CLD_STOPPED and
// CLD_CONTINUED of asm-generic/siginfo.h. CLD_TRAPPED, between them, is for whoever
// debugs the child, which we are not: the parent of a child that another process
// debugs is told of real stops only.
const (
	cldStopped   = 5
	cldContinued = 6
)

// changed takes from the kernel that a child has been stopped or continued. pid is 0
// if none has.
func changed() (pid int, stopped bool) {
	for {
		child, code := waitFor(unix.P_ALL, 0, unix.WSTOPPED|unix.WCONTINUED)
		if child.pid == 0 || code == cldStopped || code == cldContinued {
			return int(child.pid), code == cldStopped
		}
	}
}
