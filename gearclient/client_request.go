package gearclient

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// MaxUnique is the longest unique key in bytes. The protocol has room for one
// more, but gearmand 1.1.20 then adds a NUL to the workload that a worker gets.
const MaxUnique = wire.MaxUnique - 1

// UniqueWorkload as a request's unique key makes the workload itself the key.
const UniqueWorkload = "-"

// Priority orders the jobs of one function.
type Priority int

// The priorities; jobs of a lower one wait until none of a higher one does.
const (
	PriorityNormal Priority = iota
	PriorityHigh
	PriorityLow
)

// String gives "normal", "high" or "low".
func (p Priority) String() string {
	switch p {
	case PriorityNormal:
		return "normal"
	case PriorityHigh:
		return "high"
	case PriorityLow:
		return "low"
	default:
		return "priority " + strconv.Itoa(int(p))
	}
}

// Request describes a job to submit.
type Request struct {
	// Function is the name under which workers offer what is wanted: 1 to 512
	// bytes without NUL.
	Function string
	// Unique makes jobs of one function and the same key one job as long as
	// one of them queues or runs: a later request gets the handle and the
	// result of the first, and its own workload is dropped. At most MaxUnique
	// bytes without NUL; empty means none; UniqueWorkload is special.
	//
	// Do not mix foreground and background requests with one key: gearmand
	// drops a background job that a foreground client joined and left.
	Unique string
	// Workload is passed on as it is. It is copied; the caller may change it
	// after the call.
	Workload []byte
	// Priority of the job.
	Priority Priority
	// RunAt is when a background job runs at the earliest, to the second. The
	// zero time means at once. It cannot be combined with a priority.
	RunAt time.Time
	// OnUpdate gets the updates of a job in Client.Do, and only there.
	OnUpdate func(Update)
	// DiscardUpdates drops updates as they come, instead of keeping them until
	// Task.Updates takes them.
	DiscardUpdates bool
}

// check says why no server would take the request.
func (r Request) check(background bool, maxData int64) error {
	problem := ""
	switch {
	case r.Function == "":
		problem = "it names no function"
	case len(r.Unique) > MaxUnique:
		problem = fmt.Sprintf("its unique key has %d bytes, at most %d", len(r.Unique), MaxUnique)
	case int64(len(r.Workload)) > maxData:
		problem = fmt.Sprintf("its workload has %d bytes, at most %d", len(r.Workload), maxData)
	case !r.RunAt.IsZero() && !background:
		problem = "only a background job can run at a set time"
	case !r.RunAt.IsZero() && r.Priority != PriorityNormal:
		problem = "a job that runs at a set time has no priority"
	case !r.RunAt.IsZero() && r.RunAt.Unix() < 0:
		problem = "its time is before 1970"
	}
	if problem != "" {
		return &RequestError{Function: r.Function, Problem: problem}
	}
	return nil
}

// encode makes the packet that submits the request.
func (r Request) encode(background bool, maxData int64) ([]byte, error) {
	if err := r.check(background, maxData); err != nil {
		return nil, err
	}
	p := wire.Packet{Magic: wire.Request, Args: [][]byte{[]byte(r.Function), []byte(r.Unique), r.Workload}}
	if r.RunAt.IsZero() {
		t, ok := clientSubmitType(r.Priority, background)
		if !ok {
			return nil, &RequestError{Function: r.Function, Problem: "it has the unknown " + r.Priority.String()}
		}
		p.Type = t
	} else {
		p.Type = wire.SubmitJobEpoch
		p.Args = slices.Insert(p.Args, 2, strconv.AppendInt(nil, r.RunAt.Unix(), 10))
	}
	b, err := wire.Append(nil, p)
	if err != nil {
		return nil, &RequestError{Function: r.Function, Problem: err.Error()}
	}
	return b, nil
}

// clientSubmitType selects the packet that submits a job.
func clientSubmitType(p Priority, background bool) (t wire.Type, ok bool) {
	switch p {
	case PriorityNormal:
		t = clientPick(background, wire.SubmitJobBg, wire.SubmitJob)
	case PriorityHigh:
		t = clientPick(background, wire.SubmitJobHighBg, wire.SubmitJobHigh)
	case PriorityLow:
		t = clientPick(background, wire.SubmitJobLowBg, wire.SubmitJobLow)
	default:
		return 0, false
	}
	return t, true
}

func clientPick(first bool, a, b wire.Type) wire.Type {
	if first {
		return a
	}
	return b
}

// order lists the servers in the order in which a request tries them: by
// rendezvous hashing of its key, or from a random start without one; those that
// were just found unreachable come last.
func (c *Client) order(r Request) []*clientServer {
	servers := clientRotate(c.servers, rand.IntN(len(c.servers))) //nolint:gosec // spreads load, no secret
	if r.Unique != "" {
		key := r.Unique
		if key == UniqueWorkload {
			key = string(r.Workload)
		}
		clientRank(servers, r.Function, key)
	}
	return clientReachableFirst(servers, time.Now())
}

func clientRotate(servers []*clientServer, n int) []*clientServer {
	return append(slices.Clone(servers[n:]), servers[:n]...)
}

// clientRank sorts servers by the hash of address and key, which selects the
// same order in every client that knows the same servers.
func clientRank(servers []*clientServer, function, key string) {
	weight := func(s *clientServer) uint64 {
		h := fnv.New64a()
		_, _ = io.WriteString(h, key+"\x00"+function+"\x00"+s.addr)
		return clientMix(h.Sum64())
	}
	slices.SortFunc(servers, func(a, b *clientServer) int {
		if weight(a) < weight(b) {
			return -1
		}
		return 1
	})
}

// clientMix spreads a hash over all bits (the finalizer of MurmurHash3), since
// FNV changes mostly low bits for a late difference such as the port.
func clientMix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func clientReachableFirst(servers []*clientServer, now time.Time) []*clientServer {
	slices.SortStableFunc(servers, func(a, b *clientServer) int {
		switch down := a.isDown(now); {
		case down == b.isDown(now):
			return 0
		case down:
			return 1
		default:
			return -1
		}
	})
	return servers
}
