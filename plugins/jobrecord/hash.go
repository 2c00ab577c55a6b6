package jobrecord

import "hash/crc32"

// Hash is what a job is known again by beside server and handle, since a job
// server that was restarted hands out the same handles for other jobs: the
// CRC-32 (IEEE) of function, NUL, unique, NUL and workload in the low half, the
// low 32 bits of the workload's size in the high half. It is cheap in every
// language that performs jobs.
func Hash(function, unique string, workload []byte) uint64 {
	var head [600]byte
	b := append(head[:0], function...)
	b = append(b, 0)
	b = append(b, unique...)
	b = append(b, 0)
	sum := crc32.ChecksumIEEE(b)
	sum = crc32.Update(sum, crc32.IEEETable, workload)
	return uint64(len(workload))<<32 | uint64(sum)
}
