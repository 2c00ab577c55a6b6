package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Defaults of an OutputConfig.
const (
	DefaultMaxLine = 8 << 10
	DefaultKeep    = 20
	// DefaultLinesPerSecond is more than anybody reads in a log, and costs about a
	// hundredth of a processor to log. Five times as many may come at once.
	DefaultLinesPerSecond = 1_000
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
	// First is called instead of Line for the first line, by the goroutine that reads:
	// while it runs nothing is read, so that it must return at once. That line is not
	// kept for Tail. May be nil, then the first is a line like others.
	First func(line []byte)
	// Line is called for each line that is not dropped, without its end, in order and
	// by one goroutine at a time. The process never waits for it: what it has not
	// taken yet is queued, up to 5,000 lines and 256 KiB, and lines for which there is
	// no room are dropped. May be nil.
	Line func(line []byte)
	// LinesPerSecond is how many lines are given to Line at most, and five times as
	// many at once after a time with fewer; more are dropped. What the process writes
	// beyond that is read, divided and kept for Tail, which costs little.
	// DefaultLinesPerSecond if zero, any number if negative.
	LinesPerSecond int
	// Dropped is called with how many lines have been dropped, between the calls of
	// Line where they are missing: at most once a second, so that once lines have been
	// dropped all that follow are, until it may be said. May be nil.
	Dropped func(lines int)
}

func (c OutputConfig) withDefaults() OutputConfig {
	if c.MaxLine <= 0 {
		c.MaxLine = DefaultMaxLine
	}
	if c.Keep == 0 {
		c.Keep = DefaultKeep
	}
	if c.LinesPerSecond == 0 {
		c.LinesPerSecond = DefaultLinesPerSecond
	}
	return c
}

// Output is a pipe, with a name in the file system or without, whose lines are read
// by one goroutine from NewOutput or NewFIFO to Close. Reading never waits for what
// is done with the lines, see [OutputConfig.Line]. Its writing end is for the
// stdout or stderr of any number of processes. Its methods may be called from any
// goroutine.
type Output struct {
	cfg     OutputConfig
	reader  *PipeReader
	writer  *os.File // of a pipe without a name
	path    string   // of one that has one
	done    chan struct{}
	once    sync.Once
	deliver *delivery // nil without Line

	lines lineSplitter // this and what follows is used by the reading goroutine only
	now   time.Time    // when the last piece was read
	begun bool         // the first line has come

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
	o.now = time.Now()
	if o.cfg.Line != nil {
		o.deliver = newDelivery(&o.cfg, o.now)
	}
	o.lines = lineSplitter{max: o.cfg.MaxLine, emit: o.line}
	go func() { defer close(o.done); o.read() }()
}

// Writer returns the writing end, for a Spec. It is closed by Close. A FIFO has
// none: it is opened by its path.
func (o *Output) Writer() *os.File { return o.writer }

// Tail returns the last lines, oldest first, dropped or not. What a process wrote just before its
// exit may only be there after Close.
func (o *Output) Tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := make([]string, 0, len(o.tail.kept))
	o.tail.each(func(k keptLine) { lines = append(lines, string(k.text)) })
	return lines
}

// Close is called when the processes have ended. It removes the path of a FIFO,
// reads what the pipe holds by then, and returns when Line and Dropped have been
// called for the last time. It does not wait for descendants that still hold the pipe; those get
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
	if o.deliver != nil {
		o.deliver.wait()
	}
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

// Sizes of the pieces that are read. A pipe that holds more than a small one is read
// in large ones until it is empty: what floods costs fewer calls then, and the
// others, of which there are many, little memory.
const (
	smallPiece = 4 << 10
	largePiece = 64 << 10
)

func (o *Output) read() {
	small := make([]byte, smallPiece)
	buf := small
	for {
		n, err := o.reader.Read(buf)
		o.now = time.Now()
		o.lines.write(buf[:n])
		if err != nil {
			o.end()
			return
		}
		switch {
		case n < smallPiece:
			buf = small
		case len(buf) == smallPiece:
			buf = make([]byte, largePiece)
		}
	}
}

func (o *Output) end() {
	o.lines.flush()
	if o.deliver != nil {
		o.deliver.end()
	}
}

func (o *Output) line(line []byte) {
	if !o.begun {
		o.begun = true
		if o.cfg.First != nil {
			o.cfg.First(line)
			return
		}
	}
	o.mu.Lock()
	o.tail.add(line, o.now)
	o.mu.Unlock()
	if o.deliver != nil {
		o.deliver.add(line, o.now)
	}
}
