package geartest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// StepTimeout is how long a step waits before it is a deviation.
const StepTimeout = 10 * time.Second

// bufferSize is what one read takes at most. A bufio.Reader of at least the
// size that a wire.Reader wants is used by it as it is.
const bufferSize = 64 << 10

// errStopped ends the script of a test that has failed already.
var errStopped = errors.New("the test ended")

// peer is one scripted connection. All fields belong to its goroutine; abort
// and stop are closed by the server.
type peer struct {
	conn  net.Conn
	br    *bufio.Reader
	r     *wire.Reader // over br, and with no buffer of its own
	reads int          // reads of the connection that delivered something
	rest  []byte       // held back by SendPart
	trace []string
	stop  <-chan struct{} // the test is over: open-ended steps end
	abort <-chan struct{} // the test has failed: all steps end
}

func newPeer(conn net.Conn, stop, abort <-chan struct{}) *peer {
	p := &peer{conn: conn, stop: stop, abort: abort}
	p.br = bufio.NewReaderSize(readCounter{p}, bufferSize)
	p.r = wire.NewReader(p.br, wire.Request, 0)
	return p
}

// readCounter is the connection as the peer's wire.Reader sees it.
type readCounter struct{ p *peer }

func (c readCounter) Read(b []byte) (int, error) {
	n, err := c.p.conn.Read(b)
	if n > 0 {
		c.p.reads++
	}
	return n, err
}

// run does the steps in their order. The error names the step and shows what
// went over the connection.
func (p *peer) run(steps []Step) error {
	for i, s := range steps {
		if err := s.run(p); err != nil {
			return fmt.Errorf("step %d of %d (%s): %w\n%s", i+1, len(steps), s.name, err, p.traced())
		}
	}
	return nil
}

func (p *peer) traced() string {
	if len(p.trace) == 0 {
		return "\tnothing went over this connection"
	}
	return "\t" + strings.Join(p.trace, "\n\t")
}

func (p *peer) note(format string, args ...any) {
	p.trace = append(p.trace, fmt.Sprintf(format, args...))
}

// next reads one packet within the step's time.
func (p *peer) next() (wire.Packet, error) {
	if err := p.setReadDeadline(); err != nil {
		return wire.Packet{}, err
	}
	got, err := p.r.Next()
	if err != nil {
		return wire.Packet{}, ended(err)
	}
	p.note("<- %v", got)
	return clone(got), nil
}

func (p *peer) setReadDeadline() error {
	return ended(p.conn.SetReadDeadline(time.Now().Add(StepTimeout)))
}

// write sends bytes within the step's time.
func (p *peer) write(b []byte) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(StepTimeout)); err != nil {
		return ended(err)
	}
	_, err := p.conn.Write(b)
	if isTimeout(err) {
		return fmt.Errorf("the other side read nothing for %v: %w", StepTimeout, err)
	}
	return ended(err)
}

// awaitByte blocks until something can be read, which stays to be read. When
// until or abort is closed the error is os.ErrDeadlineExceeded.
func (p *peer) awaitByte(until <-chan struct{}) error {
	if p.br.Buffered() > 0 {
		return nil
	}
	if err := p.conn.SetReadDeadline(time.Time{}); err != nil {
		return ended(err)
	}
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-until:
		case <-p.abort:
		case <-over:
			return
		}
		_ = p.conn.SetReadDeadline(time.Unix(1, 0)) // a closed connection ends the read anyway
	}()
	_, err := p.br.Peek(1)
	close(over)
	<-watched
	if isTimeout(err) {
		return err
	}
	return ended(err)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// skip drops n bytes that are buffered.
func (p *peer) skip(n int) {
	_, _ = p.br.Discard(n) // they are there
}
