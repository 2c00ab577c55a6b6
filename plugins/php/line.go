package php

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/gearman-manager/gearman-manager/internal/quote"
)

// Limits of the lines that are read.
const (
	maxLine  = 16 << 20
	maxFirst = 64 << 10 // of the line in which a process says who it is
)

// lineBuffer is what a reader holds while nothing is to be read: with hundreds of
// workers it is counted.
const lineBuffer = 4 << 10

// lineReader divides a stream into lines of a bounded length.
type lineReader struct {
	in   *bufio.Reader
	max  int
	long []byte // of a line that does not fit into the buffer
}

func newLineReader(r io.Reader, most int) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(r, lineBuffer), max: most}
}

// next returns the next line without its end; it is valid until the next call. The
// error is io.EOF at the end, io.ErrUnexpectedEOF in the middle of a line, a
// *ProtocolError if the line is too long, and what the stream says.
func (l *lineReader) next() ([]byte, error) {
	l.long = nil
	for {
		part, err := l.in.ReadSlice('\n')
		if len(l.long)+len(part) > l.max+1 {
			return nil, &ProtocolError{Reason: fmt.Sprintf("a line is longer than %d bytes", l.max), Line: quote.Line(string(l.begin(part)))}
		}
		switch {
		case err == nil && l.long == nil:
			return part[:len(part)-1], nil
		case err == nil:
			l.long = append(l.long, part...)
			return l.long[:len(l.long)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
			l.long = append(l.long, part...)
		case errors.Is(err, io.EOF) && len(l.long)+len(part) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// begin is the beginning of the line of which part is the latest piece.
func (l *lineReader) begin(part []byte) []byte {
	line := part
	if len(l.long) > 0 {
		line = l.long
	}
	return line[:min(len(line), quote.Max)]
}
