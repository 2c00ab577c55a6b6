package jobrecord

import "hash/crc32"

// Hash is what a job is known again by beside server and handle, since a job
// server that was restarted hands out the same handles for other jobs: the
// CRC-32 (IEEE) of function, NUL, unique, NUL and workload in the low half, the
// low 32 bits of the workload's size in the high half. It is cheap in every
// language that performs jobs.
func Hash(function, unique string, workload []byte) uint64 {
	sum := hashText(hashText(0, function), unique)
	sum = crc32.Update(sum, crc32.IEEETable, workload)
	return uint64(len(workload))<<32 | uint64(sum)
}

// hashText goes on with a text and a NUL. Package crc32 takes bytes only, which
// would have to be copied to the heap for every job.
func hashText(sum uint32, text string) uint32 {
	sum = ^sum
	for i := range len(text) {
		sum = crc32.IEEETable[byte(sum)^text[i]] ^ sum>>8
	}
	return ^(crc32.IEEETable[byte(sum)] ^ sum>>8)
}
