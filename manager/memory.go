package manager

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memoryOf returns what reads the memory of a worker of a kind, in bytes; 0 is not
// known. It is the resident set, for PHP workers without the pages that are a file's
// or shared memory: much of what a forked one shows belongs to its parent. The worker
// itself compares the same number with its max_memory.
func memoryOf(kind Kind) func(pid int) int64 {
	return func(pid int) int64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return 0
		}
		return parseStatm(string(text), kind == KindPHP)
	}
}

// parseStatm reads the resident set from /proc/PID/statm, see proc(5), in which pages
// are counted.
func parseStatm(text string, private bool) int64 {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return 0
	}
	resident, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	shared, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return 0
	}
	if private {
		resident -= shared
	}
	return max(resident, 0) * int64(os.Getpagesize())
}
