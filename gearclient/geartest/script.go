package geartest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Any stands for an argument of a packet that a script does not look at.
const Any = "\x00any\x00"

// Step is one thing that a scripted connection does. The functions of this
// package that return one say what.
type Step struct {
	name string
	run  func(*peer) error
}

// Script is what happens on one connection, or on every further one.
type Script struct {
	steps []Step
	every bool
}

// Conn scripts one connection. Scripts of a server are used in the order in
// which connections come.
func Conn(steps ...Step) Script { return Script{steps: steps} }

// EveryConn scripts all connections that come after those of the scripts
// before it; it has to be the last one. It may never be used, and the end of
// such a connection, at whatever step, is no deviation.
func EveryConn(steps ...Step) Script { return Script{steps: steps, every: true} }

// Req makes a packet as clients and workers send it.
func Req(t wire.Type, args ...string) wire.Packet { return packet(wire.Request, t, args) }

// Res makes a packet as a job server sends it.
func Res(t wire.Type, args ...string) wire.Packet { return packet(wire.Response, t, args) }

func packet(m wire.Magic, t wire.Type, args []string) wire.Packet {
	p := wire.Packet{Magic: m, Type: t}
	for _, a := range args {
		p.Args = append(p.Args, []byte(a))
	}
	return p
}

// clone keeps a packet over the reader's next one.
func clone(p wire.Packet) wire.Packet {
	p.Args = slices.Clone(p.Args)
	return p
}

// matches compares a packet that came with one that a script wants.
func matches(got, want wire.Packet) bool {
	if got.Type != want.Type || len(got.Args) != len(want.Args) {
		return false
	}
	for i, w := range want.Args {
		if string(w) != Any && string(w) != string(got.Args[i]) {
			return false
		}
	}
	return true
}

// describe is a packet as a step's name shows it.
func describe(verb string, packets ...wire.Packet) string {
	var name strings.Builder
	name.WriteString(verb)
	for i, p := range packets {
		if i > 0 {
			name.WriteByte(',')
		}
		fmt.Fprintf(&name, " %v", p.Type)
		for _, a := range p.Args {
			name.WriteString(describeArg(a))
		}
	}
	return name.String()
}

func describeArg(a []byte) string {
	switch {
	case string(a) == Any:
		return " *"
	case len(a) > 64:
		return fmt.Sprintf(" %q…(%d bytes)", a[:64], len(a))
	default:
		return fmt.Sprintf(" %q", a)
	}
}
