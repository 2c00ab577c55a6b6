package gearclient

import (
	"context"
	"errors"
	"strconv"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// ErrJobOver is what a Job's methods return once it has been answered or given
// up: by then the job server accepts nothing for it.
var ErrJobOver = errors.New("the job is over")

// Outcome says how a job ended.
type Outcome int

// The ways a job can end.
const (
	// Completed answers with WORK_COMPLETE.
	Completed Outcome = iota
	// Failed answers with WORK_FAIL, which carries no data.
	Failed
	// Raised answers with WORK_EXCEPTION. A client that has not asked for
	// exceptions gets WORK_FAIL from its server.
	Raised
	// Abandoned answers nothing and closes the connection, upon which the job
	// server queues the job again.
	Abandoned
)

// Result is what a Handler returns.
type Result struct {
	Outcome Outcome
	Data    []byte // result, or the exception's text
}

// Handler performs one job and returns how it ended. It is called on the
// goroutine of the job's slot, which takes no other job meanwhile; the slots of
// a worker call it at the same time. ctx is that of [Worker.Run]: it ends only
// when the worker is to stop at once.
type Handler func(ctx context.Context, job *Job) Result

// Job is a job that a job server has assigned to a slot. Its methods are safe
// for concurrent use; those that send block until the system has taken the
// bytes.
type Job struct {
	conn     *workerConn
	slot     int
	function string
	handle   string
	unique   string
	workload []byte
	// over is guarded by conn.mu.
	over bool
}

// Function is the name of the function to perform.
func (j *Job) Function() string { return j.function }

// Handle is the job's name on its server, such as "H:web1:42".
func (j *Job) Handle() string { return j.handle }

// Unique is the client's key for the job; often empty.
func (j *Job) Unique() string { return j.unique }

// Workload is what the client sent. It is the handler's to keep and change.
func (j *Job) Workload() []byte { return j.workload }

// Server is the address of the job server, as given in [WorkerConfig].
func (j *Job) Server() string { return j.conn.server }

// Slot is the number of the slot that performs the job, from 0.
func (j *Job) Slot() int { return j.slot }

// Status reports progress to the clients that wait for the job. The error is
// [ErrJobOver], or that of the connection.
func (j *Job) Status(numerator, denominator uint32) error {
	return j.send(wire.WorkStatus,
		strconv.AppendUint(nil, uint64(numerator), 10),
		strconv.AppendUint(nil, uint64(denominator), 10))
}

// Data sends a part of the result ahead of the end. Errors as for Status.
func (j *Job) Data(data []byte) error { return j.send(wire.WorkData, data) }

// Warning sends a warning. Errors as for Status.
func (j *Job) Warning(data []byte) error { return j.send(wire.WorkWarning, data) }

// markOver ends the job without an answer.
func (j *Job) markOver() {
	j.conn.mu.Lock()
	defer j.conn.mu.Unlock()
	j.over = true
}

// send sends one packet about a job that is not over.
func (j *Job) send(t wire.Type, args ...[]byte) error {
	j.conn.mu.Lock()
	defer j.conn.mu.Unlock()
	if j.over {
		return ErrJobOver
	}
	packet := wire.AppendUnchecked(nil, wire.Request, t, append([][]byte{[]byte(j.handle)}, args...)...)
	return j.conn.writeLocked(packet, nil)
}

// appendAnswer adds the packet that ends the job up to, but without, the
// data: the caller sends that right behind it.
func (j *Job) appendAnswer(dst []byte, r Result) []byte {
	t := wire.WorkComplete
	switch r.Outcome {
	case Failed:
		dst = wire.AppendHeader(dst, wire.Request, wire.WorkFail, len(j.handle))
		return append(dst, j.handle...)
	case Raised:
		t = wire.WorkException
	case Completed, Abandoned:
	}
	dst = wire.AppendHeader(dst, wire.Request, t, len(j.handle)+1+len(r.Data))
	dst = append(dst, j.handle...)
	return append(dst, 0) // also before empty data: without it the server reads into the next packet
}
