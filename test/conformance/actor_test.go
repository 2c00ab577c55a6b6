package conformance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// silence is how long a server has to be silent where no answer is expected and
// no mark can be asked for.
const silence = 200 * time.Millisecond

// actor is one connection of a case.
type actor struct {
	name   string
	nc     net.Conn
	r      *wire.Reader
	text   bool // speaks the operator's protocol
	closed bool
	midway bool // in the middle of a request: cannot be asked for a mark
}

// stage is a running case: a server and those who talk to it.
type stage struct {
	srv    server
	actors []*actor
	syncs  int
	watch  *actor // notices when the server has seen a connection's end
}

// newStage prepares a case on srv.
func newStage(t *testing.T, srv server) *stage {
	t.Helper()
	st := &stage{srv: srv}
	t.Cleanup(func() {
		for _, a := range st.actors {
			_ = a.nc.Close()
		}
		if st.watch != nil {
			_ = st.watch.nc.Close()
		}
	})
	return st
}

// actor returns the connection of that name, made at its first mention.
func (st *stage) actor(name string) (*actor, error) {
	for _, a := range st.actors {
		if a.name == name {
			return a, nil
		}
	}
	a, err := dial(st.srv.addr(), name)
	if err == nil {
		st.actors = append(st.actors, a)
	}
	return a, err
}

// dial connects a new actor.
func dial(addr, name string) (*actor, error) {
	nc, err := net.DialTimeout("tcp", addr, testutil.Patience)
	if err != nil {
		return nil, err
	}
	return &actor{name: name, nc: nc, r: wire.NewReader(nc, wire.Response, 0)}, nil
}

// perform does one action and returns everything that the server then sends.
func (st *stage) perform(s *step) ([]string, error) {
	a, err := st.actor(s.actor)
	if err != nil {
		return nil, err
	}
	verb, ends := strings.CutSuffix(s.verb, "-closed")
	verb, silent := strings.CutSuffix(verb, "-silent")
	switch verb {
	case ">":
		err = a.sendPacket(wire.Request, s.args)
	case ">RES":
		err = a.sendPacket(wire.Response, s.args)
	case ">>", ">>-":
		continued := a.midway
		a.midway = verb == ">>-"
		err = a.sendRaw(s.args, continued)
	case "$":
		a.text = true
		err = a.send([]byte(unescape(s.args) + "\r\n"))
	case "$lf":
		a.text = true
		err = a.send([]byte(unescape(s.args) + "\n"))
	case "close":
		return st.close(a)
	case "wait":
		err = a.await(testutil.Patience)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("%s: nothing came", a.name)
		}
	case "idle":
		var d time.Duration
		if d, err = time.ParseDuration(s.args); err == nil {
			err = a.idle(d)
		}
	default:
		err = fmt.Errorf("unknown action %q", s.verb)
	}
	if err != nil {
		return nil, err
	}
	if silent {
		a.midway = true
		if err := a.idle(silence); err != nil {
			return nil, err
		}
	}
	if ends {
		return st.collectAll(a)
	}
	return st.collect(a)
}

// collectAll reads what an actor is sent until the server closes its
// connection, and what the others have been sent.
func (st *stage) collectAll(a *actor) ([]string, error) {
	got, err := a.readPackets("", st.srv)
	if err == nil && !a.closed {
		err = fmt.Errorf("%s: not closed", a.name)
	}
	if err != nil {
		return got, err
	}
	more, err := st.collectFrom(st.actors)
	return append(got, more...), err
}

// unescape gives the meaning of the escapes in a text line.
func unescape(s string) string {
	if u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`); err == nil {
		return u
	}
	return s
}

// sendPacket sends one packet.
func (a *actor) sendPacket(magic wire.Magic, words string) error {
	b, err := packetOf(magic, words)
	if err != nil {
		return err
	}
	a.text, a.midway = false, false
	return a.send(b)
}

// sendRaw sends bytes: the beginning of something, or what continues it.
func (a *actor) sendRaw(words string, continued bool) error {
	parts, err := splitWords(words)
	if err != nil {
		return err
	}
	b := bytes.Join(parts, nil)
	if !continued {
		a.text = len(b) > 0 && b[0] != 0
	}
	return a.send(b)
}

// send writes; that the server has closed the connection is found by reading.
func (a *actor) send(b []byte) error {
	if a.closed {
		return fmt.Errorf("%s is closed", a.name)
	}
	_ = a.nc.SetWriteDeadline(time.Now().Add(testutil.Patience))
	if _, err := a.nc.Write(b); errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// await waits until something can be read.
func (a *actor) await(d time.Duration) error {
	_ = a.nc.SetReadDeadline(time.Now().Add(d))
	_, err := a.r.Peek(1)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// idle lets time pass. What comes is read by collect, but for an actor that
// cannot be asked for a mark nothing may come.
func (a *actor) idle(d time.Duration) error {
	err := a.await(d)
	if a.midway && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: answered where silence was expected", a.name)
	}
	return nil
}

// collect reads what every actor has been sent, beginning with the one that did
// something: after its mark the server has performed what it was asked for, and
// has answered everybody. A request whose answer cannot be mistaken is the mark,
// since the server answers in order.
func (st *stage) collect(first *actor) ([]string, error) {
	all, err := st.collectFrom([]*actor{first})
	if err != nil {
		return all, err
	}
	others := slices.DeleteFunc(slices.Clone(st.actors), func(a *actor) bool { return a == first })
	more, err := st.collectFrom(others)
	return append(all, more...), err
}

// collectFrom reads what these actors have been sent.
func (st *stage) collectFrom(actors []*actor) ([]string, error) {
	var all []string
	for _, a := range actors {
		if a.closed || a.midway {
			continue
		}
		st.syncs++
		mark := fmt.Sprintf("sync-%d", st.syncs)
		read := a.readPackets
		if a.text {
			read = a.readLines
		}
		lines, err := read(mark, st.srv)
		if err != nil {
			return all, fmt.Errorf("%s: %w", a.name, err)
		}
		all = append(all, lines...)
	}
	return all, nil
}

// readPackets reads up to the answer to an echo of mark; without a mark, to the
// end of the connection.
func (a *actor) readPackets(mark string, _ server) ([]string, error) {
	if mark != "" {
		if err := a.send(wire.AppendUnchecked(nil, wire.Request, wire.EchoReq, []byte(mark))); err != nil {
			return nil, err
		}
	}
	_ = a.nc.SetReadDeadline(time.Now().Add(testutil.Patience))
	var got []string
	for {
		p, err := a.r.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got, err
		}
		if err != nil {
			a.closed = true
			return append(got, a.name+" < closed"), nil //nolint:nilerr // an expected answer
		}
		if mark != "" && p.Type == wire.EchoRes && string(p.Arg(0)) == mark {
			return got, nil
		}
		got = append(got, a.name+" < "+hostless(describe(p)))
	}
}

// hostless replaces the name of this host in a job handle.
func hostless(line string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return line
	}
	return strings.ReplaceAll(line, "H:"+host+":", "H:HOST:")
}

// readLines reads up to the refusal of an unknown command.
func (a *actor) readLines(mark string, srv server) ([]string, error) {
	if err := a.send([]byte(mark + "\r\n")); err != nil {
		return nil, err
	}
	_ = a.nc.SetReadDeadline(time.Now().Add(testutil.Patience))
	end := "ERR UNKNOWN_COMMAND Unknown+server+command" + mark + "\r\n"
	var got []string
	for {
		line, err := a.readLine()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got, err
		}
		if err != nil {
			a.closed = true
			return append(sorted(got), a.name+" < closed"), nil //nolint:nilerr // an expected answer
		}
		if line == end {
			return sorted(got), nil
		}
		if shown := a.show(line, srv); shown != "" {
			got = append(got, a.name+" | "+shown)
		}
	}
}

// sorted orders the lines before the one that ends a list.
func sorted(lines []string) []string {
	if n := len(lines); n > 0 && strings.HasSuffix(lines[n-1], " | .") {
		slices.Sort(lines[:n-1])
	}
	return lines
}

// show writes a reply line as scripts have it: what differs from run to run is
// replaced by a word.
func (a *actor) show(line string, srv server) string {
	line = strings.TrimSuffix(line, "\n")
	if line == "OK "+strconv.Itoa(srv.pid()) {
		return "OK PID"
	}
	if hidden(line) {
		return ""
	}
	if fields := strings.Fields(line); len(fields) > 2 && fields[1] == "127.0.0.1" {
		line = strings.Replace(line, fields[0], "FD", 1)
	}
	quoted := strconv.Quote(shorten(line))
	return quoted[1 : len(quoted)-1]
}

// shorten writes a long run of one character as x*64.
func shorten(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); {
		n := 1
		for i+n < len(line) && line[i+n] == line[i] {
			n++
		}
		if n > 64 {
			fmt.Fprintf(&b, "%c*%d", line[i], n)
		} else {
			b.WriteString(line[i : i+n])
		}
		i += n
	}
	return b.String()
}

// watchID is the client id of the suite's own connections.
const watchID = "conformance-watch"

// hidden reports whether a line of a list is about one of them, or about
// their function.
func hidden(line string) bool {
	return strings.Contains(line, " "+watchID+" :") || strings.HasPrefix(line, syncFunction+"\t")
}

// readLine reads one line with its end, however long.
func (a *actor) readLine() (string, error) {
	var whole string
	for {
		line, err := a.r.ReadLine()
		whole += string(line)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return whole, err
		}
	}
}

// hide keeps an actor out of what "workers" shows.
func (a *actor) hide() error { return a.sendPacket(wire.Request, "SET_CLIENT_ID "+watchID) }
