package supervisor

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Limits are what the kernel holds a process to, and all that it starts. The zero
// value changes nothing.
//
// Each is set as the soft and the hard limit at once, so that the process cannot
// raise it again: many do (the runtime of a Go program raises its RLIMIT_NOFILE to
// the hard limit when it starts).
//
// The kernel has no way to give a child limits before it executes its program, so
// a program runs for a moment, usually less than 0.1 ms, without them. Whoever
// tells a program what to do only after it has spoken sets them again then, see
// [Process.SetLimits]: a Go program with CAP_SYS_RESOURCE whose runtime raises
// RLIMIT_NOFILE in just that moment undoes it otherwise.
type Limits struct {
	// NoFile is how many descriptors may be open (RLIMIT_NOFILE); 0: unchanged.
	NoFile uint64
	// Data is how many bytes of private writable memory may be mapped (RLIMIT_DATA);
	// 0: unchanged.
	Data uint64
	// Core is how many bytes a core dump may have (RLIMIT_CORE), if SetCore is true.
	Core    uint64
	SetCore bool
	// Nice is the priority, -20 (served first) to 19, of all threads of the process;
	// 0: unchanged, unless SetNice is true.
	Nice    int
	SetNice bool
}

func (l Limits) setsNice() bool { return l.Nice != 0 || l.SetNice }

// resource is one limit that prlimit(2) sets, with its names elsewhere.
type resource struct {
	name, unit, shell string
	number            int
	value             uint64
}

func (l Limits) resources() (all []resource) {
	if l.NoFile != 0 {
		all = append(all, resource{"nofile", "LimitNOFILE", "ulimit -Hn", unix.RLIMIT_NOFILE, l.NoFile})
	}
	if l.Data != 0 {
		all = append(all, resource{"data", "LimitDATA", "ulimit -Hd", unix.RLIMIT_DATA, l.Data})
	}
	if l.SetCore {
		all = append(all, resource{"core", "LimitCORE", "ulimit -Hc", unix.RLIMIT_CORE, l.Core})
	}
	return all
}

// apply sets the limits of a child that has not been collected, and the priority of
// all threads of the group that it leads: as many as it can. A child that has ended
// needs none.
func (l Limits) apply(pid int) error {
	var errs []error
	for _, r := range l.resources() {
		err := unix.Prlimit(pid, r.number, &unix.Rlimit{Cur: r.value, Max: r.value}, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			var now unix.Rlimit
			_ = unix.Prlimit(pid, r.number, nil, &now) // 0 is said if not even that is allowed
			errs = append(errs, r.refused(now.Max, err))
		}
	}
	if l.setsNice() {
		err := unix.Setpriority(unix.PRIO_PGRP, pid, l.Nice)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, l.niceRefused(pid, err))
		}
	}
	return errors.Join(errs...)
}

// Check tells which of the limits this process may not set for its children, before
// any is started: the error is nil or joins a *LimitError for each. It compares with
// this process's own hard limits and privileges, which its children inherit; a
// program that runs as another user (set-user-ID) can still refuse them.
func (l Limits) Check() error {
	var errs []error
	for _, r := range l.resources() {
		errs = append(errs, r.check())
	}
	if own := os.Getpid(); l.setsNice() && l.Nice < lowestNice(own) && !capable(unix.CAP_SYS_NICE) {
		errs = append(errs, l.niceRefused(own, unix.EACCES))
	}
	return errors.Join(errs...)
}

func (r resource) check() error {
	var now unix.Rlimit
	if err := unix.Getrlimit(r.number, &now); err != nil {
		return fmt.Errorf("read limit %s: %w", r.name, err)
	}
	mayRaise := r.value <= now.Max || capable(unix.CAP_SYS_RESOURCE)
	if mayRaise && (r.number != unix.RLIMIT_NOFILE || r.value <= maxNoFile()) {
		return nil
	}
	return r.refused(now.Max, unix.EPERM)
}

// maxNoFile is what not even root may pass.
func maxNoFile() uint64 {
	top := uint64(1 << 20) // fs/file.c: sysctl_nr_open
	if data, err := os.ReadFile("/proc/sys/fs/nr_open"); err == nil {
		_, _ = fmt.Sscan(string(data), &top)
	}
	return top
}

// lowestNice is the lowest nice value to which a process may be brought without
// privileges from where it is: its own, or what its RLIMIT_NICE allows (20 less that
// limit, see getrlimit(2)).
func lowestNice(pid int) int {
	own := 0
	if prio, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err == nil {
		own = 20 - prio // the system call, unlike the C function, says 20 less nice
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NICE, nil, &limit); err != nil {
		return own
	}
	return min(own, 20-int(min(limit.Cur, 40)))
}

// capable tells whether this process has a capability that counts on the whole
// system, which one of a user namespace does not.
func capable(capability uint) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0 && !inUserNamespace()
}

// inUserNamespace tells whether users have other numbers outside.
func inUserNamespace() bool {
	const whole = 1<<32 - 1
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil { // a kernel without user namespaces
		return false
	}
	var inside, outside, count uint64
	_, _ = fmt.Sscan(string(data), &inside, &outside, &count)
	return inside != 0 || outside != 0 || count != whole
}

// SetLimits sets limits of a process that runs, as its start did: again for one that
// has spoken, which by now has done what programs do to their own limits when they
// start, or others, at any time. They count for the process, and for what it starts from
// then on. A limit may always be lowered, also below what is in use, which then fails at
// the next demand. Raising one takes CAP_SYS_RESOURCE, since the start has set the hard
// limit too, and a better priority CAP_SYS_NICE: without, only a new process has it.
// Those that can be set are, whatever becomes of the others: the error joins a
// *LimitError for each that is refused. After the end of the process it does nothing.
func (p *Process) SetLimits(l Limits) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	if err := l.apply(p.pid); err != nil {
		return fmt.Errorf("limit %s: %w", p.name, err)
	}
	return nil
}
