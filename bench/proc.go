package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat. USER_HZ is 100 on every
// architecture that Go runs Linux on (proc(5), sysconf(3)).
const tick = 10 * time.Millisecond

// stat is what is used here of /proc/PID/stat.
type stat struct {
	pid, ppid int
	// self is user and system time of the process, waited that of the children
	// that it waited for, theirs included.
	self, waited time.Duration
	// started tells a process from a later one of the same pid (clock ticks
	// since boot).
	started uint64
}

// parseStat reads a line of /proc/PID/stat.
func parseStat(line string) (stat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')') // the name may hold anything
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("parse process state: no name in %q", line)
	}
	fields := strings.Fields(line[end+1:])
	const last = 20 // start time, counted from the state behind the name
	if len(fields) < last {
		return stat{}, fmt.Errorf("parse process state: %d fields in %q", len(fields), line)
	}
	var bad error
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			bad = errors.Join(bad, err)
		}
		return n
	}
	ticks := func(a, b int) time.Duration {
		return time.Duration(number(fields[a])+number(fields[b])) * tick
	}
	s := stat{
		pid:     int(number(strings.TrimSpace(line[:open]))),
		ppid:    int(number(fields[1])),
		self:    ticks(11, 12),
		waited:  ticks(13, 14),
		started: number(fields[19]),
	}
	if bad != nil {
		return stat{}, fmt.Errorf("parse process state: %w", bad)
	}
	return s, nil
}

// readStat reads the state of a process.
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("read process state: %w", err)
	}
	return parseStat(string(data))
}

// descendants lists all processes below root, without it, parents before their
// children.
func descendants(root int) ([]stat, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := map[int][]stat{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // gone meanwhile
		}
		s, err := parseStat(string(data))
		if err != nil {
			return nil, err
		}
		children[s.ppid] = append(children[s.ppid], s)
	}
	below := children[root]
	for i := 0; i < len(below); i++ {
		below = append(below, children[below[i].pid]...)
	}
	return below, nil
}

// cpuTime is user and system time of a process, with that of the children that
// it waited for.
func cpuTime(pid int) (time.Duration, error) {
	s, err := readStat(pid)
	return s.self + s.waited, err
}

// ownTime is the time that the threads of a process have run, in nanoseconds
// where stat counts ticks. Threads that ended are not in it; Go's do not end.
func ownTime(pid int) (time.Duration, error) {
	files, err := filepath.Glob(procFile(pid, "task/*/schedstat"))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("read run time of process %d: %w", pid, errors.Join(err, fs.ErrNotExist))
	}
	var sum time.Duration
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return 0, fmt.Errorf("read run time: %w", err)
		}
		first, _, _ := strings.Cut(string(data), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse run time: %w", err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// pss is the proportional set size of a process in bytes: its private memory,
// and of each shared page the part that falls to it.
func pss(pid int) (int64, error) {
	data, err := os.ReadFile(procFile(pid, "smaps_rollup"))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return parsePSS(string(data))
}

// parsePSS finds the line "Pss: N kB".
func parsePSS(rollup string) (int64, error) {
	for line := range strings.Lines(rollup) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "Pss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("parse memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("parse memory: no line Pss")
}

// wakeups is how often the threads of a process have stopped to wait, each of
// which is followed by a wakeup or by the end of the process. Waits of threads that
// ended are not in it; Go's do not end.
func wakeups(pid int) (uint64, error) {
	files, err := filepath.Glob(procFile(pid, "task/*/status"))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("read waits of process %d: %w", pid, errors.Join(err, fs.ErrNotExist))
	}
	var sum uint64
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return 0, fmt.Errorf("read waits: %w", err)
		}
		n, err := parseWaits(string(data))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// parseWaits finds the line "voluntary_ctxt_switches: N".
func parseWaits(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		number, found := strings.CutPrefix(line, "voluntary_ctxt_switches:")
		if !found {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse waits: %w", err)
		}
		return n, nil
	}
	return 0, errors.New("parse waits: no line voluntary_ctxt_switches")
}

// loadAverage is how many threads wanted a core during the last minute.
func loadAverage() (string, error) {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", fmt.Errorf("read load average: %w", err)
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first, nil
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
