package supervisor

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// pidfdSignalGroup is PIDFD_SIGNAL_PROCESS_GROUP of linux/pidfd.h, since Linux
// 6.9: the signal goes to the group that the process leads.
const pidfdSignalGroup = 1 << 2

// KillLeftover sends SIGKILL to the group that a process of an earlier run leads,
// if the process with that number is still the one that started at startTime (see
// [Process.StartTime]); found tells whether it was. It does not wait for the end,
// which whoever is its parent now collects. A process that leads no group is
// killed alone.
func KillLeftover(pid int, startTime uint64) (found bool, err error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return false, nil // no such process; EINVAL: a number that none can have, or a thread's
	}
	if err != nil {
		return false, fmt.Errorf("open process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(pidfd) }()
	// The descriptor stands for one process from here on. If the start time is
	// right now, it stands for the right one.
	stat, err := readStat(pid)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read identity of process %d: %w", pid, err)
	}
	if stat.startTime != startTime {
		return false, nil
	}
	err = killByDescriptor(pidfd, pid, stat.group == pid)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("kill process %d: %w", pid, err)
	}
	return true, nil
}

func killByDescriptor(pidfd, pid int, group bool) error {
	if !group {
		return unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
	}
	err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, pidfdSignalGroup)
	if errors.Is(err, unix.EINVAL) { // an older kernel
		err = unix.Kill(-pid, unix.SIGKILL)
	}
	return err
}
