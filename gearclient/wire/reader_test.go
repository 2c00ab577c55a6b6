package wire_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

func wantEOF(t *testing.T, r *wire.Reader) {
	t.Helper()
	if p, err := r.Next(); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("after the last packet: %v, %v, want EOF", p, err)
	}
}

// header makes a packet's header with any content.
func header(magic string, typ, size uint32) string {
	b := binary.BigEndian.AppendUint32([]byte(magic), typ)
	return string(binary.BigEndian.AppendUint32(b, size))
}

// TestSplitAndCoalesced reads the same packets in reads of every kind: all at
// once, a byte at a time, halves, and with the last data together with EOF.
func TestSplitAndCoalesced(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	var want []vector
	for _, v := range vectors() {
		if v.magic == wire.Response {
			stream.WriteString(v.bytes)
			want = append(want, v)
		}
	}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"coalesced":   func(r io.Reader) io.Reader { return r },
		"bytewise":    iotest.OneByteReader,
		"halves":      iotest.HalfReader,
		"data + EOF":  iotest.DataErrReader,
		"large reads": func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 1<<16) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := wire.NewReader(wrap(bytes.NewReader(stream.Bytes())), wire.Response, 0)
			for _, v := range want {
				got, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				wantPacket(t, got, v.packet())
			}
			wantEOF(t, r)
		})
	}
}

// TestCutAnywhere ends the stream after every possible number of bytes: within
// a packet that is an unexpected end.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, v := range vectors() {
		for n := 1; n < len(v.bytes); n++ {
			r := wire.NewReader(strings.NewReader(v.bytes[:n]), v.magic, 0)
			if p, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v cut after %d bytes: %v, %v", v.typ, n, p, err)
			}
		}
	}
}

// TestDiscard steps over a packet of the wrong direction, and over more than
// there is.
func TestDiscard(t *testing.T) {
	t.Parallel()
	in := header("\x00RES", 9, 20_000) + strings.Repeat("x", 20_000) + header("\x00REQ", 9, 0)
	r := wire.NewReader(strings.NewReader(in), wire.Request, 0)
	if err := r.Discard(wire.HeaderSize + 20_000); err != nil {
		t.Fatal(err)
	}
	if p, err := r.Next(); err != nil || p.Type != wire.GrabJob {
		t.Fatalf("behind it: %v, %v", p, err)
	}
	if err := r.Discard(1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("over the end: %v, want an unexpected end", err)
	}
}

func TestStreamErrorsPassThrough(t *testing.T) {
	t.Parallel()
	cause := errors.New("cable cut")
	for _, n := range []int{0, 5, 12, 14} {
		src := io.MultiReader(strings.NewReader("\x00RES\x00\x00\x00\x08\x00\x00\x00\x07H:lap:1"[:n]), iotest.ErrReader(cause))
		if _, err := wire.NewReader(src, wire.Response, 0).Next(); !errors.Is(err, cause) {
			t.Errorf("after %d bytes: %v, want %v", n, err, cause)
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]string{
		"magic 00524551":                  header("\x00REQ", 8, 0),
		"magic 48545450":                  "HTTP/1.1 400 Bad Request\r\n\r\n",
		"unknown packet type 0":           header("\x00RES", 0, 0),
		"unknown packet type 5":           header("\x00RES", 5, 0),
		"unknown packet type 43":          header("\x00RES", 43, 0),
		"unknown packet type 4294967295":  header("\x00RES", 1<<32-1, 0),
		"JOB_ASSIGN with 1 of 3":          header("\x00RES", 11, 3) + "H:1",
		"JOB_ASSIGN with 2 of 3":          header("\x00RES", 11, 5) + "H:1\x00f",
		"NO_JOB with a body of 5000":      header("\x00RES", 10, 5000),
		"handle of more than 64 bytes":    header("\x00RES", 13, 200<<20) + strings.Repeat("h", 66) + "\x00" + "x",
		"function of more than 512 bytes": header("\x00RES", 11, 200<<20) + "H:1\x00" + strings.Repeat("f", 5000),
	} {
		_, err := wire.NewReader(strings.NewReader(in), wire.Response, 0).Next()
		var formatErr *wire.FormatError
		if !errors.As(err, &formatErr) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want a FormatError with %q", in, err, want)
		}
	}
}

func TestBodyOfEmptyPacketIsSkipped(t *testing.T) {
	t.Parallel()
	in := header("\x00RES", 10, 3) + "abc" + header("\x00RES", 6, 0)
	r := wire.NewReader(strings.NewReader(in), wire.Response, 0)
	for _, want := range []wire.Type{wire.NoJob, wire.Noop} {
		if p, err := r.Next(); err != nil || p.Type != want || len(p.Args) != 0 {
			t.Fatalf("got %v, %v, want %v", p, err, want)
		}
	}
	wantEOF(t, r)
}

// TestTooLargeLeavesTheStreamUsable goes over the cap by one byte and by many,
// and reads the next packet.
func TestTooLargeLeavesTheStreamUsable(t *testing.T) {
	t.Parallel()
	const limit = 100
	for _, c := range []struct {
		typ  wire.Type
		head []string
	}{
		{wire.JobAssign, []string{"H:lap:1", "f"}},
		{wire.JobAssignAll, []string{"H:lap:1", strings.Repeat("f", wire.MaxFunction), "u", "r"}},
		{wire.WorkComplete, []string{strings.Repeat("h", wire.MaxHandle)}},
		{wire.EchoRes, nil},
	} {
		for _, size := range []int{limit, limit + 1, limit + 2000, 1 << 20} {
			data := strings.Repeat("\x00", size)
			var stream []byte
			p := wire.Packet{Magic: wire.Response, Type: c.typ}
			for _, a := range append(append([]string{}, c.head...), data) {
				p.Args = append(p.Args, []byte(a))
			}
			stream, err := wire.Append(stream, p)
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, header("\x00RES", 6, 0)...)
			r := wire.NewReader(bytes.NewReader(stream), wire.Response, limit)
			got, err := r.Next()
			wantTooLarge(t, got, err, p, size, limit)
			if next, err := r.Next(); err != nil || next.Type != wire.Noop {
				t.Fatalf("%v of %d bytes: next packet is %v, %v", c.typ, size, next, err)
			}
			wantEOF(t, r)
		}
	}
}

func wantTooLarge(t *testing.T, got wire.Packet, err error, sent wire.Packet, size, limit int) {
	t.Helper()
	if size <= limit {
		if err != nil {
			t.Fatalf("%v of %d bytes: %v", sent.Type, size, err)
		}
		wantPacket(t, got, sent)
		return
	}
	var large *wire.TooLargeError
	if !errors.As(err, &large) || large.Type != sent.Type || large.Size != int64(size) || large.Limit != int64(limit) {
		t.Fatalf("%v of %d bytes: %v", sent.Type, size, err)
	}
	sent.Args = sent.Args[:len(sent.Args)-1]
	wantPacket(t, got, sent)
}

func TestTooLargeCutShort(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		header("\x00RES", 11, 5000),
		header("\x00RES", 11, 5000) + "H:1",
		header("\x00RES", 11, 5000) + "H:1\x00f\x00abc",
	} {
		r := wire.NewReader(strings.NewReader(in), wire.Response, 10)
		if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v, want an unexpected EOF", in, err)
		}
	}
}

// largestRead is a reader that remembers how much it was asked for at once.
type largestRead struct {
	io.Reader
	largest int
}

func (r *largestRead) Read(b []byte) (int, error) {
	r.largest = max(r.largest, len(b))
	return r.Reader.Read(b)
}

// TestAnnouncedSizeCostsNothing announces the largest body that is allowed and
// sends none of it: the reader must not make room for it on the header's word.
func TestAnnouncedSizeCostsNothing(t *testing.T) {
	t.Parallel()
	src := &largestRead{Reader: strings.NewReader(header("\x00RES", 17, wire.DefaultMaxData) + "x")}
	if _, err := wire.NewReader(src, wire.Response, 0).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if src.largest > 2<<20 {
		t.Errorf("a header alone made the reader want %d bytes", src.largest)
	}
}

func TestLargeBodyIsReadWhole(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 5<<16) // 5 MiB: several chunks
	stream := wire.AppendUnchecked(nil, wire.Response, wire.EchoRes, data)
	p, err := wire.NewReader(iotest.HalfReader(bytes.NewReader(stream)), wire.Response, 0).Next()
	if err != nil || !bytes.Equal(p.Arg(0), data) {
		t.Fatalf("%d bytes, %v, want %d", len(p.Arg(0)), err, len(data))
	}
}

// TestArgumentsStay checks that the bytes of a packet outlive the next one.
func TestArgumentsStay(t *testing.T) {
	t.Parallel()
	stream := wire.AppendUnchecked(nil, wire.Response, wire.EchoRes, []byte("first"))
	stream = wire.AppendUnchecked(stream, wire.Response, wire.EchoRes, []byte("other"))
	r := wire.NewReader(bytes.NewReader(stream), wire.Response, 0)
	p, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	kept := p.Arg(0)
	if _, err := r.Next(); err != nil || string(kept) != "first" {
		t.Errorf("the first packet's data became %q, %v", kept, err)
	}
}

func TestBufferedPeekAndLines(t *testing.T) {
	t.Parallel()
	in := "status\r\n" + header("\x00REQ", 9, 0)
	r := wire.NewReader(strings.NewReader(in), wire.Request, 0)
	if b, err := r.Peek(1); err != nil || b[0] != 's' {
		t.Fatalf("peek: %q, %v", b, err)
	}
	if r.Buffered() != len(in) {
		t.Errorf("%d bytes buffered, want %d", r.Buffered(), len(in))
	}
	if line, err := r.ReadLine(); err != nil || string(line) != "status\r\n" {
		t.Fatalf("line: %q, %v", line, err)
	}
	if p, err := r.Next(); err != nil || p.Type != wire.GrabJob {
		t.Fatalf("packet after a line: %v, %v", p, err)
	}
	if r.Buffered() != 0 {
		t.Errorf("%d bytes buffered at the end", r.Buffered())
	}
	long := strings.NewReader(strings.Repeat("x", 1<<16) + "\n")
	if _, err := wire.NewReader(long, wire.Request, 0).ReadLine(); !errors.Is(err, bufio.ErrBufferFull) {
		t.Errorf("endless line: %v", err)
	}
}
