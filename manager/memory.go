package manager

import "github.com/gearman-manager/gearman-manager/supervisor"

// memoryOf returns what reads the memory of a worker of a kind, in bytes; 0 is not
// known. It is the resident set, for PHP workers without the pages that are a file's
// or shared memory: much of what a forked one shows belongs to its parent. The worker
// itself compares the same number with its max_memory.
func memoryOf(kind Kind) func(pid int) int64 {
	return func(pid int) int64 {
		m, err := supervisor.MemoryOf(pid)
		if err != nil {
			return 0
		}
		if kind == KindPHP {
			m.Resident -= min(m.Shared, m.Resident)
		}
		return int64(m.Resident) //nolint:gosec // a size of memory
	}
}
