package geartest

import (
	"fmt"
	"net"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Send sends one packet of a job server.
func Send(t wire.Type, args ...string) Step { return SendTogether(Res(t, args...)) }

// SendTogether sends several packets in one write.
func SendTogether(packets ...wire.Packet) Step {
	return Step{describe("send", packets...), func(p *peer) error {
		b, err := encode(packets)
		if err != nil {
			return err
		}
		for _, q := range packets {
			p.note("-> %v", q)
		}
		return p.write(b)
	}}
}

// SendBytewise sends one packet with a write for each byte.
func SendBytewise(t wire.Type, args ...string) Step {
	res := Res(t, args...)
	return Step{describe("send bytewise", res), func(p *peer) error {
		b, err := encode([]wire.Packet{res})
		if err != nil {
			return err
		}
		p.note("-> %v, byte by byte", res)
		for i := range b {
			if err := p.write(b[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}}
}

// SendPart sends the first n bytes of a packet; [SendRest] sends what is left.
func SendPart(n int, t wire.Type, args ...string) Step {
	res := Res(t, args...)
	return Step{describe(fmt.Sprintf("send %d bytes of", n), res), func(p *peer) error {
		b, err := encode([]wire.Packet{res})
		if err != nil {
			return err
		}
		if n < 0 || n > len(b) {
			return fmt.Errorf("the packet has %d bytes", len(b))
		}
		p.rest = b[n:]
		p.note("-> %d bytes of %v", n, res)
		return p.write(b[:n])
	}}
}

// SendRest sends what [SendPart] held back.
func SendRest() Step {
	return Step{"send rest", func(p *peer) error {
		b := p.rest
		p.rest = nil
		p.note("-> the other %d bytes", len(b))
		return p.write(b)
	}}
}

// Answer waits for any packet and sends, in one write, what f returns for it;
// within [Loop] it makes a server that thinks for itself. f runs on the
// connection's goroutine; the packet is its to keep.
func Answer(f func(wire.Packet) []wire.Packet) Step {
	return Step{"answer any packet", func(p *peer) error {
		got, err := p.next()
		if err != nil {
			return err
		}
		return SendTogether(f(got)...).run(p)
	}}
}

// SendRaw sends bytes as they are: what is no packet, or lines of the text
// protocol.
func SendRaw(b []byte) Step {
	return Step{fmt.Sprintf("send %d raw bytes", len(b)), func(p *peer) error {
		p.note("-> %d bytes %q", len(b), b[:min(len(b), 64)])
		return p.write(b)
	}}
}

// SendLines sends lines of the text protocol, each with CRLF after it.
func SendLines(lines ...string) Step {
	var b []byte
	for _, l := range lines {
		b = append(b, l+"\r\n"...)
	}
	return SendRaw(b)
}

// Close closes the connection; the other side sees an orderly end if it has
// sent nothing that was not read.
func Close() Step {
	return Step{"close", func(p *peer) error {
		p.note("-> close")
		return p.conn.Close()
	}}
}

// Reset aborts the connection: over TCP the other side gets a reset.
func Reset() Step {
	return Step{"reset", func(p *peer) error {
		p.note("-> reset")
		if tcp, ok := p.conn.(*net.TCPConn); ok {
			if err := tcp.SetLinger(0); err != nil {
				return err
			}
		}
		return p.conn.Close()
	}}
}

// encode puts packets into bytes.
func encode(packets []wire.Packet) ([]byte, error) {
	var b []byte
	for _, q := range packets {
		var err error
		if b, err = wire.Append(b, q); err != nil {
			return nil, fmt.Errorf("this script: %w (SendRaw sends anything)", err)
		}
	}
	return b, nil
}
