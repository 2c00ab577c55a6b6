package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// watchEvery is how often something that is watched is shown.
const watchEvery = time.Second

// watch shows something again and again until ctx ends, on a terminal in the same
// place, and returns an error only if it cannot be shown.
func watch(ctx context.Context, out io.Writer, show func(context.Context, io.Writer) error) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	_, height := terminalSize(out)
	if height > 0 {
		if _, err := io.WriteString(out, "\x1b[2J"); err != nil {
			return err
		}
	}
	for {
		if err := showOnce(ctx, out, show); err != nil {
			return watched(ctx, err)
		}
		select {
		case <-ctx.Done():
			if height > 0 {
				_, _ = io.WriteString(out, "\n") // the terminal has written ^C
			}
			return watched(ctx, ctx.Err())
		case <-tick.C:
		}
	}
}

// watched makes the end by a signal one about which nothing is to be said: it is how
// watching ends.
func watched(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if _, ok := errors.AsType[*signalError](cause); ok {
		return &exitError{code: exitCode(cause)}
	}
	return err
}

// page is what is to be shown at a time.
type page struct {
	bytes.Buffer

	width, height int
}

func (p *page) size() (width, height int) { return p.width, p.height }

func showOnce(ctx context.Context, out io.Writer, show func(context.Context, io.Writer) error) error {
	p := &page{}
	p.width, p.height = terminalSize(out)
	if err := show(ctx, p); err != nil {
		return err
	}
	text := p.String()
	if p.height > 0 {
		text = frame(text, p.width, p.height)
	}
	_, err := io.WriteString(out, text)
	return err
}

// frame puts a text in the place of the one before: each line ends what was there, and
// the last one all that is below.
func frame(text string, width, height int) string {
	lines := shorten(strings.Split(strings.TrimRight(text, "\n"), "\n"), max(1, height-1))
	text = strings.TrimRight(fit(strings.Join(lines, "\n"), width), "\n")
	lines = strings.Split(text, "\n")
	return "\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\n\x1b[J"
}

// leastAbove is how many lines of a text that is shortened stand before what is left
// out: the head of a table, and a row.
const leastAbove = 4

// shorten leaves out lines of a text that has too many, and says how many. The last
// paragraph, what somebody may have to look at, stays if there is room.
func shorten(lines []string, height int) []string {
	if len(lines) <= height {
		return lines
	}
	var last []string
	for i := len(lines) - 1; i > 0; i-- {
		if lines[i] == "" {
			last = lines[i:]
			break
		}
	}
	if height-len(last)-1 < leastAbove {
		last = nil
	}
	above := max(0, height-len(last)-1)
	left := fmt.Sprintf("… %d more", len(lines)-len(last)-above)
	return slices.Concat(lines[:above], []string{left}, last)
}
