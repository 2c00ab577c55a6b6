package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// StartTimeOf returns when the kernel started a process, in clock ticks since
// boot: field 22 of /proc/PID/stat, see proc_pid_stat(5). A number is given to
// another process sooner or later, the pair of number and start time never is
// before the next boot. The error is fs.ErrNotExist where there is no such
// process.
func StartTimeOf(pid int) (uint64, error) {
	stat, err := readStat(pid)
	if err != nil {
		return 0, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	return stat.startTime, nil
}

// procStat is what is used of /proc/PID/stat.
type procStat struct {
	state     byte
	group     int
	startTime uint64
}

func readStat(pid int) (procStat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(data)
}

// parseStat reads fields 3, 5 and 22. The second, the program's name, stands in
// parentheses and may itself contain blanks and parentheses, so that counting
// begins after the last one.
func parseStat(data []byte) (procStat, error) {
	const first, state, group, startTime = 3, 3, 5, 22 // fields, as the manual page counts them
	end := bytes.LastIndexByte(data, ')')
	fields := bytes.Fields(data[end+1:])
	if end < 0 || len(fields) <= startTime-first {
		return procStat{}, fmt.Errorf("unexpected content %q", data)
	}
	pgrp, err := strconv.Atoi(string(fields[group-first]))
	if err != nil {
		return procStat{}, fmt.Errorf("parse process group: %w", err)
	}
	start, err := strconv.ParseUint(string(fields[startTime-first]), 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("parse start time: %w", err)
	}
	return procStat{state: fields[state-first][0], group: pgrp, startTime: start}, nil
}
