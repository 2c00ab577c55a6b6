package cli

import (
	"fmt"
	"io"
	"strings"
)

// progress shows how far a job is, on one line of a terminal that is written
// over and over. It does nothing elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
	shown    bool
}

// progressWidth is the length of the bar.
const progressWidth = 30

// status shows a report of progress.
func (p *progress) status(numerator, denominator uint64) {
	if !p.terminal {
		return
	}
	p.shown = true
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s", progressLine(numerator, denominator))
}

// clear takes the line away, before anything else is written.
func (p *progress) clear() {
	if p.shown {
		_, _ = io.WriteString(p.out, "\r\x1b[K")
		p.shown = false
	}
}

// progressLine is a bar where the numbers make one, and the numbers.
func progressLine(numerator, denominator uint64) string {
	if denominator == 0 || numerator > denominator {
		return fmt.Sprintf("%d/%d", numerator, denominator)
	}
	part := float64(numerator) / float64(denominator)
	full := int(part * progressWidth)
	return fmt.Sprintf("[%s%s] %3.0f%%  %d/%d", strings.Repeat("=", full), strings.Repeat(" ", progressWidth-full), part*100, numerator, denominator)
}
