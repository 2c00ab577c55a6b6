package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what a process has of the machine's memory, in bytes.
type Memory struct {
	// Resident is all of it, without what is swapped out.
	Resident uint64
	// Shared is the part that is a file's or shared memory, which other processes may
	// have as well.
	Shared uint64
}

// MemoryOf reads the memory of a process: the second and third field of
// /proc/PID/statm, in pages, see proc_pid_statm(5). The error is fs.ErrNotExist where
// there is no such process.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return Memory{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	m, err := parseStatm(string(text))
	if err != nil {
		return Memory{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return m, nil
}

func parseStatm(text string) (Memory, error) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return Memory{}, fmt.Errorf("unexpected content %q", text)
	}
	resident, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return Memory{}, fmt.Errorf("parse resident pages: %w", err)
	}
	shared, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return Memory{}, fmt.Errorf("parse shared pages: %w", err)
	}
	page := uint64(os.Getpagesize())
	return Memory{Resident: resident * page, Shared: shared * page}, nil
}
