package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
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

// Output is a pipe, with a name in the file system or without, whose lines are read
// by one goroutine from NewOutput or NewFIFO to Close. Its writing end is for the
// stdout or stderr of any number of processes. Its methods may be called from any
// goroutine.
type Output struct {
	cfg    OutputConfig
	reader *PipeReader
	writer *os.File // of a pipe without a name
	path   string   // of one that has one
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
	o := &Output{writer: writer}
	o.begin(reader, cfg)
	return o, nil
}

// NewFIFO makes a FIFO at path, which only this user may open, and begins to read
// it: for processes that are not started here and open their output themselves, as
// often as they like. This process holds both its ends, so that to open it for
// writing never waits and nothing is lost while nobody else has it open. The path
// must not exist, and its directory should be this user's alone. The output has to
// be closed, which removes the path.
func NewFIFO(path string, cfg OutputConfig) (*Output, error) {
	reader, err := openFIFO(path)
	if err != nil {
		return nil, fmt.Errorf("create output: %w", err)
	}
	o := &Output{path: path}
	o.begin(reader, cfg)
	return o, nil
}

func (o *Output) begin(reader *PipeReader, cfg OutputConfig) {
	o.cfg, o.reader, o.done = cfg.withDefaults(), reader, make(chan struct{})
	o.tail.size = max(o.cfg.Keep, 0)
	o.lines = lineSplitter{max: o.cfg.MaxLine, emit: o.line}
	go func() { defer close(o.done); o.read() }()
}

// Writer returns the writing end, for a Spec. It is closed by Close. A FIFO has
// none: it is opened by its path.
func (o *Output) Writer() *os.File { return o.writer }

// Tail returns the last lines, oldest first. What a process wrote just before its
// exit may only be there after Close.
func (o *Output) Tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tail.lines()
}

// Close is called when the processes have ended. It removes the path of a FIFO,
// reads what the pipe holds by then, and returns when Line has been called for the
// last time. It does not wait for descendants that still hold the pipe; those get
// EPIPE when they write. Closing again is no error.
func (o *Output) Close() error {
	var err error
	o.once.Do(func() {
		err = o.closeWriter()
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

// closeWriter sees to it that nobody gets the writing end from here any more.
func (o *Output) closeWriter() error {
	if o.writer != nil {
		return o.writer.Close()
	}
	if err := os.Remove(o.path); !errors.Is(err, fs.ErrNotExist) { // its directory may be gone by now
		return err
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
