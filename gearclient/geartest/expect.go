package geartest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Expect waits for one packet of type t with exactly these arguments; [Any]
// stands for whatever an argument is.
func Expect(t wire.Type, args ...string) Step {
	want := Req(t, args...)
	return Step{describe("expect", want), func(p *peer) error { return p.expect(want) }}
}

// ExpectFunc waits for one packet of type t and gives it to check, which says
// what is wrong with it. check runs on the connection's goroutine; the packet
// is its to keep.
func ExpectFunc(t wire.Type, check func(wire.Packet) error) Step {
	return Step{fmt.Sprintf("expect %v that passes a check", t), func(p *peer) error {
		got, err := p.next()
		switch {
		case err != nil:
			return err
		case got.Type != t:
			return fmt.Errorf("got %v", got)
		}
		return check(got)
	}}
}

// ExpectAnyOrder waits for these packets, which may come in any order.
func ExpectAnyOrder(want ...wire.Packet) Step {
	return Step{describe("expect in any order", want...), func(p *peer) error {
		left := slices.Clone(want)
		for len(left) > 0 {
			got, err := p.next()
			if err != nil {
				return err
			}
			i := slices.IndexFunc(left, func(w wire.Packet) bool { return matches(got, w) })
			if i < 0 {
				return fmt.Errorf("got %v, %s", got, describe("still wanted", left...))
			}
			left = slices.Delete(left, i, i+1)
		}
		return nil
	}}
}

// ExpectInOneRead waits for these packets in this order, and that one read of
// the connection delivers them all, as it does if they left in one write. They
// have to be under 64 KiB together.
func ExpectInOneRead(want ...wire.Packet) Step {
	return Step{describe("expect in one read", want...), func(p *peer) error {
		before := p.reads
		if p.br.Buffered() == 0 {
			before++
		}
		for i, w := range want {
			if err := p.expect(w); err != nil {
				return err
			}
			if p.reads != before {
				return fmt.Errorf("packet %d of %d was not in the first read", i+1, len(want))
			}
		}
		return nil
	}}
}

// ExpectLine waits for one line of the text protocol, without its line end.
func ExpectLine(want string) Step {
	return Step{fmt.Sprintf("expect line %q", want), func(p *peer) error {
		if err := p.setReadDeadline(); err != nil {
			return err
		}
		line, err := p.br.ReadString('\n')
		if err != nil {
			return ended(err)
		}
		got := strings.TrimRight(line, "\r\n")
		p.note("<- line %q", line)
		if got != want {
			return fmt.Errorf("got line %q", got)
		}
		return nil
	}}
}

// ExpectBytes waits for exactly these bytes.
func ExpectBytes(want []byte) Step {
	return Step{fmt.Sprintf("expect %d bytes", len(want)), func(p *peer) error {
		for i, w := range want {
			if err := p.setReadDeadline(); err != nil {
				return err
			}
			got, err := p.br.Peek(1)
			if err != nil {
				return ended(err)
			}
			if got[0] != w {
				return fmt.Errorf("byte %d is %#02x, want %#02x", i, got[0], w)
			}
			p.skip(1)
		}
		p.note("<- %d bytes %q", len(want), want)
		return nil
	}}
}

// ExpectClose waits until the other side has closed the connection without
// sending anything more.
func ExpectClose() Step {
	return Step{"expect close", func(p *peer) error {
		got, err := p.next()
		switch {
		case err == nil:
			return fmt.Errorf("got %v", got)
		case errors.Is(err, errEnded):
			p.note("<- close")
			return nil
		default:
			return err
		}
	}}
}

// ExpectSilence checks that nothing comes, not even a close, until the channel
// is closed or has a value.
func ExpectSilence(until <-chan struct{}) Step {
	return Step{"expect silence", func(p *peer) error {
		err := p.awaitByte(until)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		got, err := p.next()
		if err != nil {
			return err
		}
		return fmt.Errorf("got %v", got)
	}}
}

// expect reads one packet and compares it.
func (p *peer) expect(want wire.Packet) error {
	got, err := p.next()
	if err != nil {
		return err
	}
	if !matches(got, want) {
		return fmt.Errorf("got %v", got)
	}
	return nil
}

// errEnded is a connection that the other side has ended.
var errEnded = errors.New("the other side closed the connection")

// ended gives all ways in which the other side ends a connection one name.
func ended(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, syscall.EPIPE):
		return errEnded
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w by a reset", errEnded)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the other side closed the connection within a packet")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("nothing came for %v: %w", StepTimeout, err)
	default:
		return err
	}
}
