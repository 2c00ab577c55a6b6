package exec

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxReport is how long a progress report can be at most. Two numbers of 32 bits
// have 21 bytes.
const maxReport = 64

// readProgress reads descriptor 3 to its end and passes reports on. Of those that
// arrive together only the last is passed on, since it outdates the others. When
// nobody takes them any more it still reads, for an executable that fills the pipe
// would wait for ever.
func (e *execution) readProgress() {
	var (
		reports reportReader
		warned  bool
		unheard bool
		buf     [512]byte
	)
	for {
		n, err := e.progress.reader.Read(buf[:])
		report, found, bad := reports.take(buf[:n], err != nil)
		if found && !unheard {
			unheard = e.task.status(report.numerator, report.denominator) != nil
		}
		if bad != nil && !warned {
			warned = true
			e.task.warn("progress on descriptor 3 was not understood: " + bad.Error())
		}
		if err != nil {
			return
		}
	}
}

// report is a fraction of the job.
type report struct{ numerator, denominator uint32 }

// reportReader divides what is written to descriptor 3 into reports.
type reportReader struct {
	pending []byte // of a line that has not ended; of one too long, what makes it no report
}

// take takes what was read and returns the last report in it. bad is what is wrong
// with a line that is none.
func (r *reportReader) take(data []byte, end bool) (last report, found bool, bad error) {
	use := func(line []byte) {
		got, err := parseReport(line)
		if err != nil {
			bad = err
			return
		}
		last, found = got, true
	}
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		r.keep(line)
		if !whole && (!end || len(r.pending) == 0) {
			return last, found, bad
		}
		use(r.pending)
		r.pending, data = r.pending[:0], rest
	}
}

func (r *reportReader) keep(part []byte) {
	r.pending = append(r.pending, part[:min(len(part), maxReport-len(r.pending))]...)
}

var errNoReport = errors.New(`want NUMERATOR/DENOMINATOR, such as "3/10"`)

func parseReport(line []byte) (report, error) {
	numerator, denominator, ok := bytes.Cut(bytes.TrimSpace(line), []byte("/"))
	if !ok {
		return report{}, fmt.Errorf("%q: %w", line, errNoReport)
	}
	n, err := strconv.ParseUint(string(numerator), 10, 32)
	if err != nil {
		return report{}, fmt.Errorf("%q: %w", line, errNoReport)
	}
	d, err := strconv.ParseUint(string(denominator), 10, 32)
	if err != nil {
		return report{}, fmt.Errorf("%q: %w", line, errNoReport)
	}
	return report{numerator: uint32(n), denominator: uint32(d)}, nil
}
