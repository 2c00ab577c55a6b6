package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Defaults of an OutputConfig.
const (
	DefaultMaxLine = 8 << 10
	DefaultKeep    = 20
)

// Truncated stands at the end of a line that was longer than MaxLine.
const Truncated = " […]"

// OutputConfig says how output is read.
type OutputConfig struct {
	// MaxLine is how many bytes of a line are kept; the rest of it is discarded and
	// Truncated put in its place. DefaultMaxLine if zero.
	MaxLine int
	// Keep is how many lines Tail returns at most. DefaultKeep if zero, none if
	// negative.
	Keep int
	// Line is called for each line, without its end, in order and by one goroutine.
	// The bytes are valid during the call only. While it runs nothing is read, and
	// a process that writes more than a pipe holds (64 KiB) waits for it: it must
	// return soon. May be nil.
	Line func(line []byte)
}

func (c OutputConfig) withDefaults() OutputConfig {
	if c.MaxLine <= 0 {
		c.MaxLine = DefaultMaxLine
	}
	if c.Keep == 0 {
		c.Keep = DefaultKeep
	}
	return c
}

// Output is a pipe whose lines are read by one goroutine from NewOutput to Close.
// Its writing end is for the Stdout or Stderr of any number of processes. Its
// methods may be called from any goroutine.
type Output struct {
	cfg    OutputConfig
	reader *PipeReader
	writer *os.File
	done   chan struct{}
	once   sync.Once
	lines  lineSplitter // used by the reading goroutine only

	mu   sync.Mutex
	tail ring
}

// NewOutput makes a pipe and begins to read it. The output has to be closed.
func NewOutput(cfg OutputConfig) (*Output, error) {
	reader, writer, err := Pipe()
	if err != nil {
		return nil, fmt.Errorf("create output: %w", err)
	}
	o := &Output{cfg: cfg.withDefaults(), reader: reader, writer: writer, done: make(chan struct{})}
	o.tail.size = max(o.cfg.Keep, 0)
	o.lines = lineSplitter{max: o.cfg.MaxLine, emit: o.line}
	go func() { defer close(o.done); o.read() }()
	return o, nil
}

// Writer returns the writing end, for a Spec. It is closed by Close.
func (o *Output) Writer() *os.File { return o.writer }

// Tail returns the last lines, oldest first. What a process wrote just before its
// exit may only be there after Close.
func (o *Output) Tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tail.lines()
}

// Close is called when the processes have ended. It reads what the pipe holds by
// then, and returns when Line has been called for the last time. It does not wait
// for descendants that still hold the pipe; those get EPIPE when they write.
// Closing again is no error.
func (o *Output) Close() error {
	var err error
	o.once.Do(func() {
		err = o.writer.Close()
		o.reader.Finish()
		<-o.done
		err = errors.Join(err, o.reader.Close())
	})
	<-o.done
	if err != nil {
		return fmt.Errorf("close output: %w", err)
	}
	return nil
}

func (o *Output) read() {
	buf := make([]byte, 4<<10)
	for {
		n, err := o.reader.Read(buf)
		o.lines.write(buf[:n])
		if err != nil {
			o.lines.flush()
			return
		}
	}
}

func (o *Output) line(line []byte) {
	o.mu.Lock()
	o.tail.add(line)
	o.mu.Unlock()
	if o.cfg.Line != nil {
		o.cfg.Line(line)
	}
}

// lineSplitter divides a stream into lines of a bounded length.
type lineSplitter struct {
	max     int
	emit    func([]byte)
	pending []byte // of the line that has not ended yet
	open    bool   // such a line has begun
	cut     bool   // its end is discarded
}

func (s *lineSplitter) write(data []byte) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			s.keep(data)
			return
		}
		if !s.open && end <= s.max {
			s.emit(trimCR(data[:end])) // the usual case, without a copy
		} else {
			s.keep(data[:end])
			s.flush()
		}
		data = data[end+1:]
	}
}

func (s *lineSplitter) keep(part []byte) {
	s.open = true
	if room := s.max - len(s.pending); len(part) > room {
		part, s.cut = part[:room], true
	}
	s.pending = append(s.pending, part...)
}

// flush ends the line that has begun, if one has.
func (s *lineSplitter) flush() {
	if !s.open {
		return
	}
	if s.cut {
		s.pending = append(s.pending, Truncated...)
	}
	s.emit(trimCR(s.pending))
	s.pending, s.open, s.cut = s.pending[:0], false, false
}

func trimCR(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\r")) }

// ring keeps the last lines and reuses their memory.
type ring struct {
	size int
	kept [][]byte
	next int // the oldest line, once there are size of them
}

func (r *ring) add(line []byte) {
	switch {
	case r.size == 0:
	case len(r.kept) < r.size:
		r.kept = append(r.kept, bytes.Clone(line))
	default:
		r.kept[r.next] = append(r.kept[r.next][:0], line...)
		r.next = (r.next + 1) % r.size
	}
}

func (r *ring) lines() []string {
	lines := make([]string, 0, len(r.kept))
	for i := range r.kept {
		lines = append(lines, string(r.kept[(r.next+i)%len(r.kept)]))
	}
	return lines
}
