package jobrecord

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// Find returns the first record from index from on that shows a job as being in
// hand: that of its server, handle and hash. ok is false if there is none; a record
// that its writer left half written shows no job. It is meant to be called for each
// job: it allocates nothing and reads 8 bytes of a record whose last job had another
// hash. While others write, a hit may be gone at once, and need not have been a whole
// record: it is a reason to look again. What is said before another process writes a
// record is known to whoever does not find the job in it any more.
func (f *File) Find(j Job, from int) (index int, ok bool) {
	want := searched(j)
	for i := max(from, 0); i < len(f.records); i++ {
		if want.in(f.records[i].mem) {
			return i, true
		}
	}
	return 0, false
}

// search is a job as records show it, in units that one load reads.
type search struct {
	hash   uint64 // offset 24
	hand   uint32 // offset 4: state, length of the handle and server
	handle string
}

func searched(j Job) search {
	handle := j.Handle[:min(len(j.Handle), MaxHandle)]
	var hash [8]byte
	binary.LittleEndian.PutUint64(hash[:], j.Hash)
	hand := [4]byte{stateBusy, byte(len(handle))}
	binary.LittleEndian.PutUint16(hand[2:], j.Server)
	return search{binary.NativeEndian.Uint64(hash[:]), binary.NativeEndian.Uint32(hand[:]), handle}
}

// in reports whether a record shows the job. The first two loads are atomic, so that
// what the caller reads later is not older than they are.
func (s *search) in(m *[Size]byte) bool {
	//nolint:gosec // a page-aligned mapping, records of 192 bytes
	return (*atomic.Uint64)(unsafe.Pointer(&m[24])).Load() == s.hash &&
		(*atomic.Uint32)(unsafe.Pointer(&m[4])).Load() == s.hand &&
		string(m[64:64+len(s.handle)]) == s.handle &&
		(*atomic.Uint32)(unsafe.Pointer(&m[0])).Load()&1 == 0
}
