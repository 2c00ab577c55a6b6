package jobserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// FuzzAdminLine gives lines to a queue with something of everything in it. Every
// line is answered, and the counts stay right.
func FuzzAdminLine(f *testing.F) {
	for _, line := range []string{
		"status", "prioritystatus", "workers", "version", "getpid", "verbose", "show jobs", "show unique jobs",
		"cancel job H:1", "cancel job H:2", "create function new", "drop function f", "drop function EMPTY",
		"maxqueue f", "maxqueue f 1", "maxqueue f -1 99999999999999999999 x", "", " status", "a\x00b c\x00",
		"STATUS\r", "shutdown graceful", "\xff\xfe \x80", "maxqueue f 1 2 3 4 5 6 7 8 9",
	} {
		f.Add([]byte(line + "\r\n"))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r := newRig(t, Config{})
		c, w := r.peer(), r.peer()
		r.do(w, wire.CanDo, "f")
		r.do(c, wire.SubmitJob, "f", "u", "1")
		r.do(c, wire.SubmitJobBg, "f", "-", "2")
		r.do(w, wire.GrabJob)
		r.q.function([]byte("empty"))
		r.got(c)
		r.q.command(c, line)
		r.check()
		reply := bytes.Join(c.out.take(), nil)
		if !bytes.HasSuffix(reply, []byte("\n")) {
			t.Fatalf("%q was answered with %q", line, reply)
		}
	})
}

// FuzzPackets plays a history that is made of the input: each packet or line
// goes to the peer that the byte before it names, and the counts stay right.
func FuzzPackets(f *testing.F) {
	seed := func(steps ...any) {
		var b []byte
		for i := 0; i+1 < len(steps); i += 2 {
			b = append(b, byte(steps[i].(int)))
			b = append(b, steps[i+1].([]byte)...)
		}
		f.Add(b)
	}
	p := func(t wire.Type, args ...string) []byte {
		var list [][]byte
		for _, a := range args {
			list = append(list, []byte(a))
		}
		return wire.AppendUnchecked(nil, wire.Request, t, list...)
	}
	seed(0, p(wire.CanDo, "f"), 1, p(wire.SubmitJob, "f", "u", "data"), 0, p(wire.GrabJob), 0, p(wire.WorkStatus, "H:1", "1", "2"), 0, p(wire.WorkComplete, "H:1", "done"))
	seed(0, p(wire.CanDoTimeout, "f", "10"), 1, p(wire.SubmitJobEpoch, "f", "", "1000001", "x"), 0, p(wire.PreSleep), 0x80, []byte{}, 0, p(wire.GrabJobUniq))
	seed(0, p(wire.CanDo, "f"), 1, p(wire.SubmitReduceJob, "f", "u", "r", "a", "d"), 0, p(wire.GrabJobAll), 0, p(wire.ResetAbilities), 0, p(wire.WorkFail, "H:1"))
	seed(0, p(wire.CanDo, "f"), 1, p(wire.OptionReq, "exceptions"), 1, p(wire.SubmitJobHigh, "f", "-", "d"), 0, p(wire.GrabJob), 0, p(wire.WorkException, "H:1", "e"), 2, p(wire.GetStatus, "H:1"))
	seed(0, p(wire.SubmitJobLowBg, "f", "u", "d"), 1, []byte("cancel job H:1\r\n"), 2, p(wire.GetStatusUnique, "u"), 2, p(wire.EchoReq, "x"), 2, p(wire.SetClientID, "me"), 2, []byte("workers\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := newRig(t, Config{JobRetries: 2, MaxData: 1 << 10, MaxPending: 1 << 20})
		peers := []*peer{r.peer(), r.peer(), r.peer()}
		for len(input) > 0 {
			who, rest := input[0], input[1:]
			if who&0x80 != 0 {
				r.now = r.now.Add(time.Second)
				r.q.expire(r.now)
			}
			input = r.feed(peers[int(who&0x7f)%len(peers)], rest)
			r.check()
		}
		for _, p := range peers {
			r.got(p)
			r.q.disconnect(p)
			r.check()
		}
	})
}

// feed performs the first request of input for p and returns what is behind it.
func (r *rig) feed(p *peer, input []byte) []byte {
	if len(input) > 0 && input[0] != 0 {
		line, rest, _ := bytes.Cut(input, []byte("\n"))
		before := p.out.size
		r.q.command(p, line)
		r.cut(p, before)
		return rest
	}
	src := bytes.NewReader(input)
	reader := wire.NewReader(src, wire.Request, r.q.conf.MaxData)
	packet, err := reader.Next()
	var large *wire.TooLargeError
	switch {
	case errors.As(err, &large):
		r.q.tooLarge(p, packet, large)
	case err != nil:
		return nil
	default:
		r.q.dispatch(p, packet, r.now)
	}
	return input[len(input)-src.Len()-reader.Buffered():]
}

// cut forgets a text reply, so that what p was sent can be read as packets.
func (r *rig) cut(p *peer, before int64) {
	all := bytes.Join(p.out.take(), nil)
	p.out.tail, p.out.spare = all[:before], nil
	p.out.size = before
}

// FuzzStream gives any bytes to a connection of a server, which may refuse them
// but never find a fault of its own.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\x00RES\x00\x00\x00\x09\x00\x00\x00\x03abcstatus\r\n"))
	f.Add([]byte("\x00REQ\x00\x00\x00\x05\x00\x00\x00\x00\x00REQ\x00\x00\x00\x10\x00\x00\x00\x01x"))
	f.Add([]byte("\x00REQ\x00\x00\x00\x07\x00\x00\x01\x07f\x00u\x00" + strings.Repeat("d", 259)))
	f.Add([]byte(strings.Repeat("x", 9000) + "\n"))
	f.Add([]byte("\x00REQ\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x00RES\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, input []byte) {
		closed := make(chan error, 1)
		s, err := New(Config{HandlePrefix: "H", MaxData: 256, Events: func(e Event) {
			if c, ok := e.(ConnClosed); ok {
				closed <- c.Err
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		s.admit(theirs)
		read := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, ours)
			close(read)
		}()
		_, _ = ours.Write(input)
		_ = ours.Close()
		if err := <-closed; errors.Is(err, errInternal) {
			t.Fatal(err)
		}
		<-read
		if err := s.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, p := range problems(s.queue) {
			t.Error(p)
		}
	})
}
