// Package jobrecord keeps what each slot of a pool is doing in a small file
// that worker and manager share: 192 bytes a slot, written by the worker in a
// few nanoseconds, read by the manager when it wants to know.
//
// A record says which job a slot has in hand (server, handle, function, hash,
// the client's unique, since when) and how many it has done. It is written
// before the handler runs and again after the answer went out, so at any death
// of a worker the manager knows the job that died with it, and a worker that
// hangs is seen even though it says nothing. Nothing is sent for a job.
//
// A dead worker's record shows its job until the manager has accounted for it and
// told all workers. A worker that is given a job therefore looks first whether the
// record of another shows it, and if so waits for the news: see File.Find.
//
// # Layout
//
// All numbers are little endian. A record is
//
//	offset  size
//	     0     4  version of the record: odd while it is being written
//	     4     1  state: 0 idle, 1 busy
//	     5     1  length of the handle
//	     6     2  server, as numbered by the manager
//	     8     2  function, as numbered by the manager
//	    10     1  length of the unique
//	    11     1  unused
//	    12     4  jobs failed
//	    16     8  start of the job in hand, CLOCK_MONOTONIC in nanoseconds
//	    24     8  hash of the job in hand, see Hash
//	    32     8  jobs begun
//	    40     8  jobs done, failed ones included
//	    48     8  bytes of workloads and results
//	    56     8  time spent in jobs, nanoseconds
//	    64    64  handle
//	   128    64  unique, cut if it is longer
//
// What follows a handle or unique up to the end of its field is left over from
// earlier jobs.
//
// One process writes a record at a time, and within it one slot. Readers take
// a snapshot and retry while it is being written; a writer that died in the
// middle leaves an odd version, and the snapshot then says so.
//
// A language that cannot map the file writes the record with one write(2) at its
// offset, under the next even version. The kernel finishes such a write even if
// the process is killed in it, so that after a death the record is whole. While
// the writer lives its bytes can be seen in parts, for some nanoseconds; readers
// therefore read until two reads in a row agree. What escapes them is a writer
// that is interrupted in the middle of the copy for longer than that takes: two of
// a million snapshots were wrong where a process did nothing but write.
package jobrecord
