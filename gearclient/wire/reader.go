package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// DefaultMaxData is the default cap on a workload or result: 64 MiB, the size
// up to which gearmand's own clients are commonly used.
const DefaultMaxData = 64 << 20

// bufferSize is the read buffer in bytes. 4 KiB takes many small packets in one
// read; larger bodies are read past the buffer.
const bufferSize = 4 << 10

// firstChunk bounds what is allocated on the word of a header alone: larger
// bodies grow as their bytes arrive, so that a peer that announces much and
// sends nothing costs nothing.
const firstChunk = 1 << 20

// Reader takes packets off a stream. It is not safe for concurrent use, except for
// SetMaxData.
type Reader struct {
	br    *bufio.Reader
	magic Magic
	limit atomic.Int64
	args  [MaxArgs][]byte
}

// NewReader returns a Reader of the packets of one direction. A packet whose
// last argument is over maxData bytes is skipped with a [*TooLargeError];
// maxData 0 means [DefaultMaxData].
func NewReader(r io.Reader, magic Magic, maxData int64) *Reader {
	reader := &Reader{br: bufio.NewReaderSize(r, bufferSize), magic: magic}
	reader.SetMaxData(maxData)
	return reader
}

// SetMaxData changes the cap from the next packet on; 0 means [DefaultMaxData]. It may
// be called while another goroutine reads.
func (r *Reader) SetMaxData(maxData int64) {
	if maxData <= 0 {
		maxData = DefaultMaxData
	}
	r.limit.Store(maxData)
}

// Buffered returns the number of bytes that were read from the stream and not
// yet returned as packets.
func (r *Reader) Buffered() int { return r.br.Buffered() }

// Peek returns the next n bytes without taking them, as bufio.Reader.Peek
// does. A server uses it to tell the text protocol from packets.
func (r *Reader) Peek(n int) ([]byte, error) { return r.br.Peek(n) }

// ReadLine reads a line of the text protocol up to and with its LF. It is for
// servers, which get both protocols on one port. A line over the buffer is
// bufio.ErrBufferFull.
func (r *Reader) ReadLine() ([]byte, error) { return r.br.ReadSlice('\n') }

// Discard reads and throws away n bytes, blocking until they have come. A
// server uses it to step over a packet that it answers but does not read.
func (r *Reader) Discard(n int64) error {
	if _, err := io.CopyN(io.Discard, r.br, n); err != nil {
		return midPacket(err)
	}
	return nil
}

// Next blocks until one packet has arrived whole, and returns it. At a clean
// end between packets the error is io.EOF, within one io.ErrUnexpectedEOF. A
// [*TooLargeError] comes with a packet whose last argument is missing, and the
// stream stands behind it. A [*FormatError] or any error of the stream ends its
// use.
func (r *Reader) Next() (Packet, error) {
	head, err := r.br.Peek(HeaderSize)
	if err != nil {
		return Packet{}, shortRead(len(head), err)
	}
	p := Packet{
		Magic: Magic(binary.BigEndian.Uint32(head)),
		Type:  Type(binary.BigEndian.Uint32(head[4:])),
	}
	size := int64(binary.BigEndian.Uint32(head[8:]))
	if p.Magic != r.magic {
		return Packet{}, &FormatError{fmt.Sprintf("magic %x, want %q", head[:4], "\x00"+r.magic.String())}
	}
	if !p.Type.Known() {
		return Packet{}, &FormatError{fmt.Sprintf("unknown packet %v", p.Type)}
	}
	_, _ = r.br.Discard(HeaderSize) // cannot fail: the bytes were peeked at
	return r.body(p, size)
}

// body reads and splits the size bytes after p's header.
func (r *Reader) body(p Packet, size int64) (Packet, error) {
	args := p.Type.Args()
	if len(args) == 0 {
		return r.emptyBody(p, size)
	}
	limit := r.limit.Load()
	if size > limit && size > limit+headMax(args) {
		return r.tooLarge(p, size, limit)
	}
	data, err := r.read(size)
	if err != nil {
		return Packet{}, err
	}
	rest := data
	for i := range len(args) - 1 {
		arg, after, found := bytes.Cut(rest, []byte{0})
		if !found {
			return Packet{}, &FormatError{fmt.Sprintf("%v with %d of %d arguments", p.Type, i+1, len(args))}
		}
		r.args[i], rest = arg, after
	}
	r.args[len(args)-1] = rest
	p.Args = r.args[:len(args)]
	if int64(len(rest)) > limit {
		p.Args = p.Args[:len(args)-1]
		return p, &TooLargeError{p.Type, int64(len(rest)), limit}
	}
	return p, nil
}

// emptyBody accepts a packet type without arguments: whatever body it has is
// bounded and ignored, as gearmand does.
func (r *Reader) emptyBody(p Packet, size int64) (Packet, error) {
	if size > bufferSize {
		return Packet{}, &FormatError{fmt.Sprintf("%v with a body of %d bytes", p.Type, size)}
	}
	if _, err := io.CopyN(io.Discard, r.br, size); err != nil {
		return Packet{}, midPacket(err)
	}
	return p, nil
}

// read returns the next size bytes in memory of their own.
func (r *Reader) read(size int64) ([]byte, error) {
	data := make([]byte, min(size, firstChunk))
	n, err := io.ReadFull(r.br, data)
	for err == nil && int64(n) < size {
		data = append(data, make([]byte, min(int64(len(data)), size-int64(n)))...)
		var m int
		m, err = io.ReadFull(r.br, data[n:])
		n += m
	}
	if err != nil {
		return nil, midPacket(err)
	}
	return data, nil
}

// tooLarge reads the arguments before the last one, which are short, and
// throws the last one away.
func (r *Reader) tooLarge(p Packet, size, limit int64) (Packet, error) {
	args := p.Type.Args()
	for i := range len(args) - 1 {
		arg, err := r.headArg(args[i])
		if err != nil {
			return Packet{}, err
		}
		size -= int64(len(arg)) + 1
		r.args[i] = arg
	}
	if _, err := io.CopyN(io.Discard, r.br, size); err != nil {
		return Packet{}, midPacket(err)
	}
	p.Args = r.args[:len(args)-1]
	return p, &TooLargeError{p.Type, size, limit}
}

// headArg reads one argument that is not the last, with its NUL.
func (r *Reader) headArg(a Arg) ([]byte, error) {
	arg, err := r.br.ReadSlice(0)
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(arg) > a.Max+1:
		return nil, &FormatError{fmt.Sprintf("%s of more than %d bytes", a.Name, a.Max)}
	case err != nil:
		return nil, midPacket(err)
	}
	return bytes.Clone(arg[:len(arg)-1]), nil
}

// headMax is what the arguments before the last may take, with their NULs.
func headMax(args []Arg) int64 {
	n := 0
	for _, a := range args[:len(args)-1] {
		n += a.Max + 1
	}
	return int64(n)
}

// shortRead tells an end between packets from one within a header.
func shortRead(n int, err error) error {
	if n == 0 {
		return err
	}
	return midPacket(err)
}

// midPacket turns an end of the stream into an unexpected one.
func midPacket(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
