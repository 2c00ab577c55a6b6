package jobrecord

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxHandle is the largest handle that a record holds, in bytes: the limit of
// the protocol.
const MaxHandle = 64

// MaxUnique is how much of a job's unique a record holds, in bytes: what
// gearmand accepts.
const MaxUnique = 64

// States of a slot in its record.
const (
	stateIdle = 0
	stateBusy = 1
)

// readTries bounds how often a record is read while it is being written. A write
// takes nanoseconds; more reads than this mean that the writer died or was stopped
// in the middle.
const readTries = 1000

// Record is one slot's record. Begin and End belong to the slot; Snapshot and
// Clear may be used by others.
type Record struct {
	mem *[Size]byte
}

// Job is the job that a slot has in hand.
type Job struct {
	Server   uint16 // as numbered by the manager
	Function uint16 // as numbered by the manager
	Handle   string
	Hash     uint64
	// Unique is the client's key for the job, cut after MaxUnique bytes: for people,
	// who know a job by it, and not to tell jobs apart.
	Unique string
}

// Snapshot is a record as it was at one moment.
type Snapshot struct {
	Job
	Busy  bool
	Torn  bool          // the writer stopped in the middle, or does not stop: Job is not reliable
	Start time.Duration // CLOCK_MONOTONIC at which the job began; see Now
	Begun uint64        // jobs begun
	Done  uint64        // jobs ended, failed ones included
	// Failed counts the jobs that ended with a failure or exception.
	Failed uint32
	Bytes  uint64        // of workloads and results
	Spent  time.Duration // time spent in jobs
}

// Now is the clock that records are kept in: CLOCK_MONOTONIC, which all
// processes of a machine share and no clock step moves.
func Now() time.Duration {
	s := started()
	return s.clock + time.Since(s.at)
}

// moment is one and the same moment on two clocks of the same pace.
type moment struct {
	at    time.Time
	clock time.Duration
}

// started is the first call of Now. Asking the system each time would be a
// system call, where time.Since is none.
//
//nolint:gochecknoglobals // a clock exists once
var started = sync.OnceValue(func() moment {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail with a valid clock
	return moment{time.Now(), time.Duration(ts.Nano())}
})

// Begin notes a job before its handler runs.
func (r *Record) Begin(j Job, start time.Duration, workload int) {
	handle, unique := j.Handle[:min(len(j.Handle), MaxHandle)], j.Unique[:min(len(j.Unique), MaxUnique)]
	v := r.open()
	m := r.mem[:]
	m[4], m[5] = stateBusy, byte(len(handle))
	binary.LittleEndian.PutUint16(m[6:], j.Server)
	binary.LittleEndian.PutUint16(m[8:], j.Function)
	m[10] = byte(len(unique))
	binary.LittleEndian.PutUint64(m[16:], uint64(start)) //nolint:gosec // the clock is not negative
	binary.LittleEndian.PutUint64(m[24:], j.Hash)
	add64(m[32:], 1)
	add64(m[48:], uint64(workload)) //nolint:gosec // a length
	copy(m[64:], handle)
	copy(m[128:], unique)
	r.version().Store(v + 1)
}

// End notes that a job is over and its answer has been sent: the one in hand,
// or, without a Begin before, one that was answered without being performed.
func (r *Record) End(end time.Duration, failed bool, result int) {
	v := r.open()
	m := r.mem[:]
	if m[4] == stateBusy {
		start := binary.LittleEndian.Uint64(m[16:])
		add64(m[56:], uint64(end)-start) //nolint:gosec // the clock is not negative
	}
	m[4] = stateIdle
	if failed {
		binary.LittleEndian.PutUint32(m[12:], binary.LittleEndian.Uint32(m[12:])+1)
	}
	add64(m[40:], 1)
	add64(m[48:], uint64(result)) //nolint:gosec // a length
	r.version().Store(v + 1)
}

// Drop notes that the job in hand was given up without an answer.
func (r *Record) Drop() {
	v := r.open()
	r.mem[4] = stateIdle
	r.version().Store(v + 1)
}

// Clear makes the record idle after its process has died and its job has been
// accounted for. Its counters stay, for the slot's next process.
func (r *Record) Clear() {
	r.mem[4] = stateIdle
	r.version().Store(r.version().Load() &^ 1)
}

// Snapshot reads the record without disturbing its writer.
func (r *Record) Snapshot() Snapshot {
	m, whole := settled(r.read)
	s := decode(&m)
	s.Torn = !whole
	return s
}

// read copies the record, and tells whether its version says that no write was in
// progress.
func (r *Record) read(m *[Size]byte) (whole bool) {
	before := r.version().Load()
	*m = *r.mem
	return before&1 == 0 && r.version().Load() == before
}

// settled reads until two reads in a row are whole and agree. The version alone is
// proof only where the writer orders its stores. One that has no memory of its own
// here writes with write(2): the record changes from one even version to the next
// then, and what was written may be seen in parts, in any order.
func settled(read func(*[Size]byte) (whole bool)) (m [Size]byte, ok bool) {
	var (
		last     [Size]byte
		lastGood bool
	)
	for range readTries {
		whole := read(&m)
		if whole && lastGood && m == last {
			return m, true
		}
		last, lastGood = m, whole
	}
	return m, false
}

func decode(m *[Size]byte) Snapshot {
	return Snapshot{
		Job: Job{
			Server:   binary.LittleEndian.Uint16(m[6:]),
			Function: binary.LittleEndian.Uint16(m[8:]),
			Handle:   string(m[64 : 64+min(int(m[5]), MaxHandle)]),
			Hash:     binary.LittleEndian.Uint64(m[24:]),
			Unique:   string(m[128 : 128+min(int(m[10]), MaxUnique)]),
		},
		Busy:   m[4] == stateBusy,
		Start:  time.Duration(binary.LittleEndian.Uint64(m[16:])), //nolint:gosec // a clock
		Begun:  binary.LittleEndian.Uint64(m[32:]),
		Done:   binary.LittleEndian.Uint64(m[40:]),
		Failed: binary.LittleEndian.Uint32(m[12:]),
		Bytes:  binary.LittleEndian.Uint64(m[48:]),
		Spent:  time.Duration(binary.LittleEndian.Uint64(m[56:])), //nolint:gosec // a duration
	}
}

// open makes the version odd, as it is already if a former writer died in the
// middle, and returns it.
func (r *Record) open() uint32 {
	v := r.version().Load() | 1
	r.version().Swap(v)
	return v
}

// version is the record's first field, which orders the others.
func (r *Record) version() *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&r.mem[0])) //nolint:gosec // page-aligned mapping, records of 192 bytes
}

// add64 adds to a counter.
func add64(b []byte, n uint64) {
	binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)+n)
}
