package supervisor

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotExpected is the error of an Adopt after Cancel, or after an Adopt that
// succeeded.
var ErrNotExpected = errors.New("no child is expected any more")

// Expected stands for one child that is going to come to this process. Its methods
// may be called from any goroutine, and none of them waits for the child.
type Expected struct {
	sup    *Supervisor
	number uint64
}

// Adoption says what an adopted child is. The fields are those of a Spec.
type Adoption struct {
	// Name is what errors and [Process.Name] call the process. Its number if empty.
	Name string
	// KeepGroup spares the other members of the group: SIGKILL then goes to the
	// child only. It is moved into a group of its own all the same.
	KeepGroup bool
	// Limits hold from before Adopt returns. What the child has started by then keeps
	// its own.
	Limits Limits
}

func (a Adoption) name(pid int) string {
	if a.Name != "" {
		return a.Name
	}
	return fmt.Sprintf("process %d", pid)
}

// Expect announces a child that this process gets without having started it: one
// whose parent, a descendant of this process, has died, so that it has come to us
// as a child subreaper ([Config.Subreaper]). It is called before that child can
// exist, and every Expect is ended by Adopt or Cancel.
//
// Until then a child that has ended and that is not known stays a zombie, as it
// does during a start: it may be the one that is expected. Children that are known
// are collected meanwhile. Any number of children may be expected at the same time,
// and none of them holds up what was expected before it. After Stop, which ends
// every Expect, the error is ErrStopped.
func (s *Supervisor) Expect() (*Expected, error) {
	e := &Expected{sup: s}
	var err error
	if e.number, err = s.begin(e); err != nil {
		return nil, fmt.Errorf("expect child: %w", err)
	}
	return e, nil
}

// Cancel says that the child does not come. It may be called after Adopt, and
// again.
func (e *Expected) Cancel() {
	e.sup.mu.Lock()
	defer e.sup.mu.Unlock()
	e.sup.reg.pending.drop(e.number)
	e.sup.wake()
}

// Adopt makes the child with that number a Process like one that was started: it
// leads a group from now on and its end is told by Done. It is called when the
// child's own parent has been collected by whoever forked that: from then on the
// child is ours. One that has ended by now, even before it came to us, is adopted
// too, and its Exit is exact.
//
// The child must have come by fork alone: one that has executed a program since can
// be adopted only if it leads a group already. Before Adopt it is in whatever group
// it was born in, usually that of the process which has forked its parent, and is
// killed with that; processes that it has started by then stay there.
//
// If the number is not that of a child that can be adopted, the error is an
// *AdoptError, nothing has happened, and the child is expected still. If a limit
// cannot be set it is an *AdoptError that wraps a *LimitError, the child is ours and
// is killed, and is not expected any more. After Stop the error wraps ErrStopped, and
// the child has been killed.
func (e *Expected) Adopt(pid int, a Adoption) (*Process, error) {
	p := &Process{pid: pid, name: a.name(pid), keepGroup: a.KeepGroup, done: make(chan struct{})}
	if leads(pid) {
		// It may be the child of a start, whose number is not recorded yet.
		e.sup.awaitStarts()
	}
	if err := e.adopt(p, a.Limits); err != nil {
		return nil, err
	}
	return p, nil
}

// adopt records the child. All of it is done under one lock, and until its end the
// Expect keeps the reaper from collecting the child, so that the number remains its
// own.
func (e *Expected) adopt(p *Process, limits Limits) error {
	s := e.sup
	s.mu.Lock()
	defer s.mu.Unlock()
	known, child := s.reg.procs[p.pid] != nil, isChild(p.pid)
	switch {
	case s.reg.stopping:
		if child && !known {
			p.killStray()
		}
		return fmt.Errorf("adopt %s: %w", p.name, ErrStopped)
	case s.reg.pending[e.number] != e:
		return fmt.Errorf("adopt %s: %w", p.name, ErrNotExpected)
	case known:
		return &AdoptError{Name: p.name, PID: p.pid, Reason: "is known already", Err: unix.EEXIST}
	case !child:
		return &AdoptError{Name: p.name, PID: p.pid, Reason: "is no child of this process", Err: unix.ECHILD}
	}
	if err := p.lead(); err != nil {
		return &AdoptError{Name: p.name, PID: p.pid, Reason: whyNoGroup(err), Err: err}
	}
	limitErr := limits.apply(p.pid)
	p.started = time.Now()
	s.reg.add(p, true) // its parent may have been told that it was stopped
	s.reg.pending.drop(e.number)
	s.wake()
	if limitErr != nil {
		_ = p.Kill() // it is ours to collect
		return &AdoptError{Name: p.name, PID: p.pid, Reason: "has been killed: " + limitErr.Error(), Err: limitErr}
	}
	return nil
}

// lead makes a child the leader of a group of its own. One that has ended may do
// without: nothing can be in a group that it has not led.
func (p *Process) lead() error {
	err := unix.Setpgid(p.pid, p.pid)
	if err == nil || leads(p.pid) { // the leader of a session cannot be moved, and need not
		return nil
	}
	if peek(unix.P_PID, p.pid) == p.pid {
		p.keepGroup = true
		return nil
	}
	return err
}

// killStray kills a child that comes too late to be adopted.
func (p *Process) killStray() {
	if p.lead() != nil {
		p.keepGroup = true
	}
	_ = unix.Kill(p.target(), unix.SIGKILL) // one that cannot be killed is not ours any more
}

// leads tells whether a process leads a group.
func leads(pid int) bool {
	group, err := unix.Getpgid(pid)
	return err == nil && group == pid
}

// AdoptError says why a process is not adopted.
type AdoptError struct {
	Name   string // of the Adoption
	PID    int
	Reason string // what is wrong, in words
	Err    error  // a syscall.Errno: ECHILD if it is no child of ours, EEXIST if it is known, what setpgid(2) said otherwise; or a *LimitError
}

// Error names the process and the reason.
func (e *AdoptError) Error() string {
	return fmt.Sprintf("adopt %s: process %d %s", e.Name, e.PID, e.Reason)
}

// Unwrap returns the number of the error, or the *LimitError.
func (e *AdoptError) Unwrap() error { return e.Err }

func whyNoGroup(err error) string {
	switch {
	case errors.Is(err, unix.EACCES):
		return "has executed a program since it was forked, so that it cannot be moved into a group of its own"
	case errors.Is(err, unix.EPERM):
		return "is in another session, so that it cannot be moved into a group of its own"
	default:
		return fmt.Sprintf("cannot be moved into a group of its own: %v", err)
	}
}
