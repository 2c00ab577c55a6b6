package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// HeaderSize is the size of a packet's header in bytes.
const HeaderSize = 12

// Magic tells the direction of a packet: the first four bytes of its header.
type Magic uint32

// The two directions.
const (
	// Request goes from a client or worker to a job server ("\0REQ").
	Request Magic = 0x00524551
	// Response goes from a job server to a client or worker ("\0RES").
	Response Magic = 0x00524553
)

// String gives "REQ" or "RES", or the number of an unknown magic.
func (m Magic) String() string {
	switch m {
	case Request:
		return "REQ"
	case Response:
		return "RES"
	default:
		return fmt.Sprintf("magic %#08x", uint32(m))
	}
}

// Packet is one packet. The slice Args of a packet that a [Reader] returned is
// valid until its next call of Next; the bytes that the arguments point to are
// the caller's to keep.
type Packet struct {
	Magic Magic
	Type  Type
	Args  [][]byte
}

// Arg returns argument i, or nil if there are fewer.
func (p Packet) Arg(i int) []byte {
	if i < 0 || i >= len(p.Args) {
		return nil
	}
	return p.Args[i]
}

// String describes the packet on one line for traces: direction, type and
// arguments, each cut after 64 bytes.
func (p Packet) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %v", p.Magic, p.Type)
	for _, a := range p.Args {
		if len(a) > 64 {
			fmt.Fprintf(&b, " %q…(%d bytes)", a[:64], len(a))
			continue
		}
		fmt.Fprintf(&b, " %q", a)
	}
	return b.String()
}

// Append adds the packet to dst and returns the extended slice. It returns
// dst unchanged and an [*ArgumentError] if the number of arguments is not that
// of the type, an argument is over its limit, one that is not the last holds a
// NUL, or the body is over what its 32 bit size can say.
func Append(dst []byte, p Packet) ([]byte, error) {
	if err := check(p.Type, p.Args); err != nil {
		return dst, err
	}
	return AppendUnchecked(dst, p.Magic, p.Type, p.Args...), nil
}

// AppendUnchecked is [Append] for arguments that are known to be right, such
// as a handle that came from the server itself: it looks at nothing.
func AppendUnchecked(dst []byte, m Magic, t Type, args ...[]byte) []byte {
	dst = AppendHeader(dst, m, t, bodySize(args))
	for i, a := range args {
		if i > 0 {
			dst = append(dst, 0)
		}
		dst = append(dst, a...)
	}
	return dst
}

// AppendHeader adds the header of a packet whose body of size bytes the caller
// adds or sends after it.
func AppendHeader(dst []byte, m Magic, t Type, size int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(m))
	dst = binary.BigEndian.AppendUint32(dst, uint32(t))
	return binary.BigEndian.AppendUint32(dst, uint32(size)) //nolint:gosec // a body is at most Reader's cap
}

// check compares the arguments with the layout of t.
func check(t Type, args [][]byte) error {
	want := t.Args()
	if !t.Known() {
		return &ArgumentError{Type: t, Problem: "no packet of the protocol"}
	}
	if len(args) != len(want) {
		return &ArgumentError{Type: t, Problem: fmt.Sprintf("%d arguments, want %d", len(args), len(want))}
	}
	for i, a := range args {
		last := i == len(args)-1
		switch {
		case want[i].Max > 0 && len(a) > want[i].Max:
			return &ArgumentError{t, want[i].Name, fmt.Sprintf("%d bytes, at most %d", len(a), want[i].Max)}
		case !last && bytes.IndexByte(a, 0) >= 0:
			return &ArgumentError{t, want[i].Name, "holds a NUL byte"}
		}
	}
	if size := bodySize(args); size > math.MaxUint32 {
		return &ArgumentError{Type: t, Problem: fmt.Sprintf("a body of %d bytes, at most %d", size, uint32(math.MaxUint32))}
	}
	return nil
}

// bodySize is what the arguments take with the NULs between them.
func bodySize(args [][]byte) int {
	size := max(len(args)-1, 0)
	for _, a := range args {
		size += len(a)
	}
	return size
}
