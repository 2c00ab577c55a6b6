// Package content tells files apart by what is in them, and keeps private copies of programs.
//
// # Sums
//
// [Sums] hashes files and remembers the hashes, so that looking at a hundred programs that did not change costs a hundred stat calls.
// A hash is remembered by device, inode, size, modification time and change time. The change time cannot be set by a program, but it has the
// granularity of the kernel's clock (some milliseconds; a second or two on old file systems), so that a file which is written twice within
// one tick looks the same after the second write. A hash is therefore final only if it was taken at least [tick] after these attributes were
// first seen, measured by our own clock, or if they are older than [skew], more than the clock of a file server may plausibly differ. Until then
// each look hashes anew. What that does not see: a file system that makes up its change times (some of those in user space), and a program that
// writes to the raw device.
//
// # Store
//
// A [Store] is a directory of copies, named for the program and its hash, that nobody but this user can change. A worker that is started from
// a copy can be started again after its original was replaced, and the original can be written to while the worker runs.
//
// The hash is that of the bytes that were copied, not of what the original holds later. A copy gets its name when it is complete; it
// is not flushed to the disk, and instead no copy that an earlier process made is used before its content has been compared with its name.
//
// Linux refuses to execute a file that any process has open for writing ("text file busy"), and a child has all descriptors of its parent between
// fork and exec. So no descriptor that can write to a copy is ever open while this process forks: a copy is written in pieces, each under
// [syscall.ForkLock], and a fork waits for one piece at most.
package content
