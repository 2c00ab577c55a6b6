package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// silence is the longest time without any packet from the job server before a
// load gives up. The slowest job here takes milliseconds.
const silence = 20 * time.Second

// load keeps a number of foreground jobs in flight on one connection. Its
// goroutine is the one that calls run; done may be read by any.
type load struct {
	conn net.Conn
	job  job

	packets *wire.Reader
	out     []byte            // packets not sent yet
	created fifo              // numbers of jobs whose handle is not known yet
	running map[string]uint64 // handle to number
	next    uint64

	done atomic.Uint64
}

// errWrongAnswer is a job whose result is not what it has to be.
var errWrongAnswer = errors.New("wrong answer")

// newLoad makes a load on conn, which stays the caller's to close.
func newLoad(conn net.Conn, j job) *load {
	return &load{
		conn:    conn,
		job:     j,
		packets: wire.NewReader(conn, wire.Response, 0),
		running: map[string]uint64{},
	}
}

// run submits jobs, inFlight of them at any time, until ctx ends, and then
// returns when all of them are answered. It returns at the first job that
// fails or is answered wrongly.
func (l *load) run(ctx context.Context, inFlight int) error {
	for range inFlight {
		l.submit()
	}
	for l.created.len()+len(l.running) > 0 {
		if err := l.flush(); err != nil {
			return err
		}
		ended, err := l.receive()
		if err != nil {
			return err
		}
		for ; ended > 0 && ctx.Err() == nil; ended-- {
			l.submit()
		}
	}
	return nil
}

// round submits jobs and returns when all of them are answered.
func (l *load) round(jobs int) error {
	for range jobs {
		l.submit()
	}
	for l.created.len()+len(l.running) > 0 {
		if err := l.flush(); err != nil {
			return err
		}
		if _, err := l.receive(); err != nil {
			return err
		}
	}
	return nil
}

// submit puts the next job into the output.
func (l *load) submit() {
	l.next++
	l.out = wire.AppendUnchecked(l.out, wire.Request, wire.SubmitJob,
		[]byte(l.job.function), nil, l.job.workload(l.next))
	l.created.push(l.next)
}

// flush sends all that was submitted, in one write.
func (l *load) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	if _, err := l.conn.Write(l.out); err != nil {
		return fmt.Errorf("submit jobs: %w", err)
	}
	l.out = l.out[:0]
	return nil
}

// receive waits for a packet, takes all others that came with it, and returns
// how many jobs they ended.
func (l *load) receive() (ended int, err error) {
	if l.packets.Buffered() == 0 {
		if err := l.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return 0, fmt.Errorf("set deadline: %w", err)
		}
	}
	for first := true; first || l.packets.Buffered() > 0; first = false {
		p, err := l.packets.Next()
		if err != nil {
			return ended, fmt.Errorf("read answer: %w", err)
		}
		n, err := l.take(p)
		if err != nil {
			return ended, err
		}
		ended += n
	}
	return ended, nil
}

// take handles one packet and returns how many jobs it ended.
func (l *load) take(p wire.Packet) (ended int, err error) {
	switch p.Type { //nolint:exhaustive // any other one is a failure here
	case wire.JobCreated:
		seq, ok := l.created.pop()
		if !ok {
			return 0, fmt.Errorf("answer to no job: %v", p)
		}
		l.running[string(p.Arg(0))] = seq
		return 0, nil
	case wire.WorkComplete:
		handle := string(p.Arg(0))
		seq, ok := l.running[handle]
		if !ok || !l.job.right(seq, p.Arg(1)) {
			return 0, fmt.Errorf("%w to %q: %v", errWrongAnswer, l.job.workload(seq), p)
		}
		delete(l.running, handle)
		l.done.Add(1)
		return 1, nil
	default:
		return 0, fmt.Errorf("job failed: %v", p)
	}
}

// fifo is a queue of job numbers.
type fifo struct {
	items []uint64
	head  int
}

func (q *fifo) len() int { return len(q.items) - q.head }

func (q *fifo) push(n uint64) {
	if q.head > 0 && q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	q.items = append(q.items, n)
}

func (q *fifo) pop() (uint64, bool) {
	if q.len() == 0 {
		return 0, false
	}
	q.head++
	return q.items[q.head-1], true
}
