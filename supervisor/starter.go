package supervisor

import (
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// starter forks. Each of the goroutines in which it runs has a thread, which lives
// as long as the starter does, so that Pdeathsig means the death of this process.
type starter struct {
	sup      *Supervisor
	requests chan *request
	quit     chan struct{}
	once     sync.Once
}

// request asks for a process. The reply is one of the two.
type request struct {
	spec  *Spec
	reply chan reply
}

type reply struct {
	process *Process
	err     error
}

func (s *starter) run() {
	// Never unlocked: the thread ends with the starter, and its signal mask with it.
	runtime.LockOSThread()
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
	for {
		select {
		case req := <-s.requests:
			p, err := s.serve(req.spec)
			req.reply <- reply{process: p, err: err}
		case <-s.quit:
			return
		}
	}
}

// start asks the starter for a process and waits for it.
func (s *starter) start(spec *Spec) (*Process, error) {
	req := &request{spec: spec, reply: make(chan reply, 1)}
	select {
	case s.requests <- req:
		r := <-req.reply
		return r.process, r.err
	case <-s.quit:
		return nil, ErrStopped
	}
}

func (s *starter) stop() { s.once.Do(func() { close(s.quit) }) }

// serve starts one process and makes it known to the reaper.
func (s *starter) serve(spec *Spec) (*Process, error) {
	s.sup.forking.RLock()
	defer s.sup.forking.RUnlock()
	number, err := s.sup.begin(nil)
	if err != nil {
		return nil, err
	}
	pid, err := syscall.ForkExec(spec.Path, spec.argv(), spec.attr(s.sup.null.Fd()))
	if err != nil {
		s.sup.settle(number, nil)
		return nil, err
	}
	p := &Process{
		pid: pid, name: spec.name(), keepGroup: spec.KeepGroup,
		started: time.Now(), done: make(chan struct{}),
	}
	limitErr := spec.Limits.apply(pid) // nobody collects a child before it is settled
	if s.sup.settle(number, p) {
		_ = p.Kill()
		return nil, ErrStopped
	}
	if limitErr != nil {
		_ = p.Kill()
		return nil, limitErr
	}
	return p, nil
}
