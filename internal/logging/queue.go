package logging

import (
	"context"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// QueueSize is how many bytes of lines wait at most for an output that does not take
// them: a few thousand lines.
const QueueSize = 1 << 20

// cutMark ends a line that was cut.
const cutMark = " […]\n"

// FlushError says that an output did not take all lines in time.
type FlushError struct {
	Lines int   // that were not written, dropped ones included
	Err   error // why it was not waited for any longer
}

// Error says how many lines are lost.
func (e *FlushError) Error() string {
	return fmt.Sprintf("flush log: %d lines are lost: %v", e.Lines, e.Err)
}

// Unwrap returns why it was not waited for any longer.
func (e *FlushError) Unwrap() error { return e.Err }

// Queue is a writer of lines that never blocks: one goroutine passes them on, in order.
// When its output does not take them, and the queue is full, lines are dropped and
// counted, until half of the queue is free again; a line in their place says how many
// they were. Nothing happens while there is nothing to write. Its methods may be called
// from any goroutine.
//
//	Write ─► queue, 1 MiB ─► drain ─► out
//	            │ full                 ▲
//	            └─► count of lines ────┘ as a line of its own
type Queue struct {
	out   io.Writer
	limit int // bytes
	// report writes how many lines are lost to the output, and tells whether it could.
	report func(lines int) bool
	ready  chan struct{} // has an element when there may be something to write
	done   chan struct{} // closed when drain has ended

	mu      sync.Mutex
	lines   []queued
	bytes   int  // of all lines that are queued or being written
	full    bool // lines are dropped
	waiting int  // lines that are queued, being written or dropped, and not reported
	closed  bool
}

// queued is a line, or if it is empty a number of lines that were dropped there.
type queued struct {
	line    []byte
	dropped int
}

// NewAsync makes a logger like New whose lines never keep the caller waiting. The
// queue has to be closed, else the last lines may be missing. The error is a
// [*FormatError]; there is no queue then.
func NewAsync(cfg Config) (zerolog.Logger, *Queue, error) {
	out := &attempt{out: cfg.Out}
	direct, err := newLogger(cfg, out) // does what the queue's writer has not to wait for
	if err != nil {
		return direct, nil, err
	}
	direct = direct.Level(zerolog.WarnLevel)
	queue := newQueue(cfg.Out, QueueSize, func(lines int) bool {
		out.err = nil
		direct.Warn().Int(FieldLines, lines).Str(FieldDetail, "the output of the log does not take them fast enough").Msg("log lines dropped")
		return out.err == nil
	})
	log, err := newLogger(cfg, queue)
	return log, queue, err
}

// attempt remembers whether the last write worked. One goroutine uses it.
type attempt struct {
	out io.Writer
	err error
}

func (a *attempt) Write(p []byte) (int, error) {
	_, a.err = a.out.Write(p)
	return len(p), nil
}

func newQueue(out io.Writer, limit int, report func(int) bool) *Queue {
	q := &Queue{out: out, limit: limit, report: report, ready: make(chan struct{}, 1), done: make(chan struct{})}
	go q.drain()
	return q
}

// Write queues a copy of one line, or counts it as dropped. It does not block and
// returns no error. A line that is larger than the whole queue is cut. After Close
// lines are written at once, unless the output had not taken what was there.
func (q *Queue) Write(line []byte) (int, error) {
	if q.put(line) {
		return len(line), nil
	}
	select {
	case <-q.done:
		q.mu.Lock()
		defer q.mu.Unlock()
		_, _ = q.out.Write(line) // nobody can be told
	default:
	}
	return len(line), nil
}

// put queues a line; ok is false when the queue is closed.
func (q *Queue) put(line []byte) (ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting++
	q.add(line)
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return true
}

// add queues a line or counts it as dropped.
func (q *Queue) add(line []byte) {
	size := min(len(line), q.limit)
	q.full = q.full && q.bytes > q.limit/2 || q.bytes+size > q.limit
	if q.full {
		if last := len(q.lines) - 1; last >= 0 && q.lines[last].dropped > 0 {
			q.lines[last].dropped++
		} else {
			q.lines = append(q.lines, queued{dropped: 1})
		}
		return
	}
	q.bytes += size
	q.lines = append(q.lines, queued{line: cut(line, q.limit)})
}

// cut copies a line and shortens it to a number of bytes, which is larger than the
// mark that it is ended with then.
func cut(line []byte, limit int) []byte {
	if len(line) <= limit {
		return append([]byte(nil), line...)
	}
	keep := limit - len(cutMark)
	for keep > 0 && !utf8.RuneStart(line[keep]) {
		keep--
	}
	return append(append(make([]byte, 0, limit), line[:keep]...), cutMark...)
}

// Close writes what is queued and ends the queue. It blocks until all is written or ctx
// ends; the error is then a [*FlushError], and the goroutine that writes stays for as
// long as the output holds it. Further calls wait too.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.ready)
	}
	q.mu.Unlock()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return &FlushError{Lines: q.waiting, Err: context.Cause(ctx)}
}

// drain writes lines until the queue is closed and empty.
func (q *Queue) drain() {
	defer close(q.done)
	dropped := 0 // lines, those included that the output refused
	for open := true; open; {
		_, open = <-q.ready
		for lines := q.take(); len(lines) > 0; lines = q.take() {
			for _, l := range lines {
				dropped = q.write(l, dropped)
			}
		}
		dropped = q.tell(dropped)
	}
}

// take takes all lines out of the queue.
func (q *Queue) take() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines := q.lines
	q.lines = nil
	return lines
}

// write writes a line, and before it how many are missing there. It returns how many
// have to be told still.
func (q *Queue) write(l queued, dropped int) int {
	if l.line == nil {
		return dropped + l.dropped
	}
	dropped = q.tell(dropped)
	if _, err := q.out.Write(l.line); err != nil {
		q.written(0, len(l.line))
		return dropped + 1
	}
	q.written(1, len(l.line))
	return dropped
}

// tell writes how many lines are missing, if any are, and returns how many have to be
// told still.
func (q *Queue) tell(dropped int) int {
	if dropped == 0 || !q.report(dropped) {
		return dropped
	}
	q.written(dropped, 0)
	return 0
}

// written notes lines that are dealt with, and bytes that are free again.
func (q *Queue) written(lines, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting -= lines
	q.bytes -= bytes
}
