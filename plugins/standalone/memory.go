package standalone

import (
	"os"
	"strconv"
	"strings"
)

// resident is the resident set of a process in bytes: the second field of
// /proc/PID/statm, in pages, see proc_pid_statm(5). ok is false if there is no such
// process any more.
func resident(pid int) (bytes uint64, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0, false
	}
	return pages * uint64(os.Getpagesize()), true
}
