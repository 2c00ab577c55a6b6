package supervisor

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrExited is the error for a signal to a process that has ended.
var ErrExited = errors.New("process has ended")

// Process is a child that was started or adopted, alive or not. Its methods may be called
// from any goroutine, and none of them blocks.
type Process struct {
	pid       int
	name      string
	keepGroup bool
	started   time.Time
	done      chan struct{}
	exit      Exit // written by the reaper before it closes done

	stopped atomic.Bool // written by the reaper

	mu        sync.Mutex // held while the pid is used, so that it still is this process
	reaped    bool
	sigkill   bool // it was sent from here
	startTime uint64
}

// PID returns the number of the process, which is also that of its group. The
// system may give it to another process once Done is closed.
func (p *Process) PID() int { return p.pid }

// Name returns the name that the Spec or the Adoption gave.
func (p *Process) Name() string { return p.name }

// Started returns when the program was executed, or the child adopted.
func (p *Process) Started() time.Time { return p.started }

// Done is closed when the process has ended and its status is known.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how the process ended. It is valid once Done is closed; before, it
// is the zero Exit.
func (p *Process) Exit() Exit {
	select {
	case <-p.done:
		return p.exit
	default:
		return Exit{}
	}
}

// StartTime returns when the kernel started the process, in clock ticks since
// boot. Together with the PID it identifies the process until the next boot; see
// [StartTimeOf]. It is read when first asked for, and is 0 if the process had
// ended by then.
func (p *Process) StartTime() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.startTime == 0 && !p.reaped {
		p.startTime, _ = StartTimeOf(p.pid)
	}
	return p.startTime
}

// Signal sends a signal to the process alone, never to its group. After its end
// the error is ErrExited, and nobody else gets the signal.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return fmt.Errorf("signal %s: %w", p.name, ErrExited)
	}
	if err := unix.Kill(p.pid, sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	p.sigkill = p.sigkill || sig == unix.SIGKILL
	return nil
}

// Kill sends SIGKILL to the whole group of the process, or to the process alone
// if KeepGroup was said of it. It does not wait for the end. A process that has
// ended is no error: its group was killed then.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	if err := unix.Kill(p.target(), unix.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	p.sigkill = true
	return nil
}

// target is what kill(2) takes for the processes that share the leader's fate.
func (p *Process) target() int {
	if p.keepGroup {
		return p.pid
	}
	return -p.pid
}

// collect ends the process's life, whose leader is a zombie: first what it left
// in its group, then its own entry.
func (p *Process) collect(oom *oomKills) {
	p.mu.Lock()
	if !p.keepGroup {
		// The zombie is a member still, so that this can only fail where the rest
		// of the group belongs to another user.
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
	exit, err := collect(p.pid)
	p.reaped = true
	ours := p.sigkill
	p.mu.Unlock()
	if err != nil { // somebody else waited for our child
		exit = Exit{PID: p.pid, Code: -1, At: time.Now()}
	}
	if exit.Signal == unix.SIGKILL && !ours {
		exit.OOM = oom.claim(exit.At)
	}
	p.exit = exit
	p.stopped.Store(false)
	close(p.done)
}
