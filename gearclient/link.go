package gearclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// linkState says where a slot stands with one of its servers.
type linkState int

const (
	// linkDown: not connected; a goroutine tries to.
	linkDown linkState = iota
	// linkParting: our side is closed, and the server is to close its own. A goroutine
	// listens.
	linkParting
	// linkHeld: connected, and not to take jobs yet. A goroutine listens.
	linkHeld
	// linkAwake: the server may have jobs.
	linkAwake
	// linkAsleep: PRE_SLEEP was sent. A goroutine listens for NOOP.
	linkAsleep
	// linkParked: a GRAB_JOB was not answered in time. A goroutine listens.
	linkParked
)

// link is where a slot stands with one server, over all connections to it. It
// belongs to the slot's goroutine.
type link struct {
	server string
	since  uint64 // when the server was added, see settings; this one has been told of
	number uint64 // of the connection or try, to tell late events from current ones
	state  linkState
	conn   *workerConn        // nil while down
	stop   context.CancelFunc // ends the connecting goroutine
	tries  int                // failed since the last success
	// listening: a goroutine reads the connection and will send one event.
	listening bool
	// slept: PRE_SLEEP was sent and no GRAB_JOB after it, so that a wake-up
	// may be on its way to this connection.
	slept bool
	// stale: registration or hold are not yet what the settings say.
	stale bool
	// leaving: the server is no longer wanted; see part.
	leaving bool
	// over: it has been left.
	over bool
	// asked: a GRAB_JOB is out.
	asked bool
	// extra: it went out without a reservation.
	extra bool
	// registered are the functions that the server knows this connection for,
	// in the order in which they were sent.
	registered []string
	// declared: the server has been told of them, which may be none.
	declared bool
	last     *Job   // last one answered, until the server has answered after it
	problem  string // why it is down, as it was told last; empty once connected
}

// linkEvent is what a goroutine that connects or listens tells its slot.
type linkEvent struct {
	link       *link
	number     uint64
	packet     wire.Packet
	conn       *workerConn // of a link that has connected
	declared   bool        // the same
	registered []string    // the same
	claimed    bool        // packet is a job for which the slot has been claimed
	err        error
}

// listenTo reads one packet of a connection and sends it to the slot. It runs
// while the slot sleeps or has parked the link, and owns the reader meanwhile.
// Silence is no error, unless the server owes the answer to a GRAB_JOB.
func (s *slot) listenTo(l *link, number uint64, c *workerConn) {
	e := linkEvent{link: l, number: number}
	if e.err = c.await(); e.err == nil {
		e.packet, e.err = c.next()
	}
	if c.parked.Load() && isAssign(e.packet.Type) {
		e.claimed = s.claimed.CompareAndSwap(false, true)
		if !e.claimed {
			// The slot has gone on to another server and may be busy for long.
			// The job goes back to the queue at once.
			e.packet, e.err = wire.Packet{}, errLateJob
			c.close()
		}
	}
	s.post(e)
}

// errLateJob ends a connection whose answer came when the slot had gone on.
var errLateJob = errors.New("assigned a job after it had been asked for too long ago")

// isAssign reports whether t brings a job.
func isAssign(t wire.Type) bool {
	return t == wire.JobAssign || t == wire.JobAssignUniq || t == wire.JobAssignAll
}

// answered notes that the answer to a GRAB_JOB has come on a link that was
// listened to.
func (l *link) answered() {
	l.conn.parked.Store(false)
	l.state, l.last = linkAwake, nil
}

// Bounds of the delay between tries to connect.
const (
	reconnectMin = 100 * time.Millisecond
	reconnectMax = 5 * time.Second
)

// reconnectDelay is the delay before the try after tries failed ones: full
// jitter under a bound that doubles, so that the slots of a fleet that lost a
// server together do not come back together. chance is from [0, 1).
func reconnectDelay(tries int, chance float64) time.Duration {
	bound := reconnectMax
	if tries < 6 { // 0.1 s × 2⁶ is over the bound
		bound = min(reconnectMin<<tries, reconnectMax)
	}
	return time.Duration(chance * float64(bound))
}

// jitter is the chance that reconnectDelay is given.
func jitter() float64 { return rand.Float64() } //nolint:gosec // spreads load, guards nothing
