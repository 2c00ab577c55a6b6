// Package logging makes the program's logger: readable lines for people, JSON
// for programs, and GearmanManager's five levels of verbosity.
//
// A line is a constant message and fields, whose keys are the constants of this
// package. There is no global logger; each part of the program is given one.
//
// A log never stops work: what runs for long logs through a [Queue], which drops
// lines, and says so, when its output does not take them.
package logging

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// Format is how a line looks.
type Format string

// The formats.
const (
	// Auto is Console, with colors if the output is a terminal.
	Auto Format = "auto"
	// Console is a line for people without colors.
	Console Format = "console"
	// JSON is one object on each line.
	JSON Format = "json"
)

// Formats lists the formats for messages and help.
func Formats() []Format { return []Format{Auto, Console, JSON} }

// MaxVerbosity is the level of -vvvvv.
const MaxVerbosity = 5

// Config says where lines go and which.
type Config struct {
	// Out gets one Write for each line, never two at a time. Required.
	Out io.Writer
	// Format of the lines; empty is Auto.
	Format Format
	// Verbosity is 0 to MaxVerbosity, see Level.
	Verbosity int
}

// FormatError says that a format is none.
type FormatError struct{ Format Format }

// Error names the format and those that there are.
func (e *FormatError) Error() string {
	return fmt.Sprintf("log format %q: want one of %v", string(e.Format), Formats())
}

// New makes a logger. Whoever logs a line waits until Out has taken it; see NewAsync.
// The error is a [*FormatError].
func New(cfg Config) (zerolog.Logger, error) { return newLogger(cfg, zerolog.SyncWriter(cfg.Out)) }

// newLogger makes a logger that writes to out as if it wrote to cfg.Out.
func newLogger(cfg Config, out io.Writer) (zerolog.Logger, error) {
	switch cfg.Format {
	case JSON:
	case Auto, "":
		out = console(out, IsTerminal(cfg.Out))
	case Console:
		out = console(out, false)
	default:
		return zerolog.Nop(), &FormatError{cfg.Format}
	}
	return zerolog.New(out).Level(Level(cfg.Verbosity)).With().Timestamp().Logger(), nil
}

// console writes lines for people.
func console(out io.Writer, color bool) io.Writer {
	format := time.DateTime
	if color {
		format = time.TimeOnly
	}
	return zerolog.ConsoleWriter{Out: out, NoColor: !color, TimeFormat: format, FormatPrepare: shorten}
}

// shorten leaves out what people see anyway: the pool of a worker, whose name begins
// with it. It returns no error.
func shorten(line map[string]any) error {
	pool, _ := line[FieldPool].(string)
	worker, _ := line[FieldWorker].(string)
	if strings.HasPrefix(worker, pool+"/") {
		delete(line, FieldPool)
	}
	return nil
}

// Level translates GearmanManager's verbosity:
//
//	0           what is wrong, and start and stop of the fleet
//	1  INFO     and how the fleet and its workers come and go
//	2  PROC     and every process and connection
//	3  WORKER   and every job
//	4  DEBUG    and what workers log for their authors
//	5  CRAZY    everything
//
// Levels 2 to 4 are one level of the logger: what tells them apart is what
// workers are asked to say.
func Level(verbosity int) zerolog.Level {
	switch {
	case verbosity <= 0:
		return zerolog.WarnLevel
	case verbosity == 1:
		return zerolog.InfoLevel
	case verbosity < MaxVerbosity:
		return zerolog.DebugLevel
	default:
		return zerolog.TraceLevel
	}
}

// IsTerminal tells whether a reader or writer is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}

// Lines returns a writer that makes lines for people of log lines in JSON, one with each
// Write. They are as New writes them to out.
func Lines(out io.Writer) io.Writer { return console(out, IsTerminal(out)) }
