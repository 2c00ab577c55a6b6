package wire_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// FuzzReader feeds any bytes to a Reader with a small cap. It must not panic,
// must give the same packets whether the bytes come in one read or singly, and
// what it accepted must encode to the bytes that it came from.
func FuzzReader(f *testing.F) {
	const limit = 64
	f.Fuzz(func(t *testing.T, data []byte, response bool) {
		magic := wire.Request
		if response {
			magic = wire.Response
		}
		whole := wire.NewReader(bytes.NewReader(data), magic, limit)
		single := wire.NewReader(iotest.OneByteReader(bytes.NewReader(data)), magic, limit)
		rest := data
		for {
			p, err := whole.Next()
			q, err2 := single.Next()
			if p.String() != q.String() || !sameError(err, err2) {
				t.Fatalf("in one read: %v, %v; bytewise: %v, %v", p, err, q, err2)
			}
			var large *wire.TooLargeError
			if err != nil && !errors.As(err, &large) {
				return
			}
			rest = wantSame(t, rest, p, large, limit)
		}
	})
}

// wantSame checks that the next packet of the stream encodes to the bytes at
// its front, and returns what is behind it.
func wantSame(t *testing.T, stream []byte, p wire.Packet, large *wire.TooLargeError, limit int64) []byte {
	t.Helper()
	size := int(stream[8])<<24 | int(stream[9])<<16 | int(stream[10])<<8 | int(stream[11])
	behind := stream[wire.HeaderSize+size:]
	body := stream[wire.HeaderSize : wire.HeaderSize+size]
	switch {
	case large != nil:
		head := bytes.Join(append(p.Args, nil), []byte{0})
		if large.Size <= limit || !bytes.HasPrefix(body, head) || int64(len(body)-len(head)) != large.Size {
			t.Fatalf("%v, %v from %q", p, large, body)
		}
	case len(p.Type.Args()) == 0: // a body is read and ignored
	default:
		got := wire.AppendUnchecked(nil, p.Magic, p.Type, p.Args...)
		if !bytes.Equal(got, stream[:wire.HeaderSize+size]) {
			t.Fatalf("%v encodes to %q, came from %q", p, got, stream[:wire.HeaderSize+size])
		}
	}
	return behind
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}

// FuzzAppend encodes any three arguments as a submission; what is accepted must
// decode to the same.
func FuzzAppend(f *testing.F) {
	f.Add("reverse", "", []byte("Hello World!"))
	f.Add("f\x00", "u", []byte{0})
	f.Add("", "-", []byte(nil))
	f.Fuzz(func(t *testing.T, function, unique string, data []byte) {
		p := wire.Packet{Magic: wire.Request, Type: wire.SubmitJob, Args: [][]byte{[]byte(function), []byte(unique), data}}
		b, err := wire.Append(nil, p)
		if err != nil {
			return
		}
		got, err := wire.NewReader(bytes.NewReader(b), wire.Request, int64(len(data)+1)).Next()
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		wantPacket(t, got, p)
	})
}
