package jobserver

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// rig is a queue without a server around it.
type rig struct {
	t   testing.TB
	q   *queue
	now time.Time
}

// newRig returns a rig whose clock stands still.
func newRig(tb testing.TB, conf Config) *rig {
	tb.Helper()
	conf.HandlePrefix = "H"
	conf, err := conf.withDefaults()
	if err != nil {
		tb.Fatal(err)
	}
	return &rig{t: tb, q: newQueue(conf), now: time.Unix(1_000_000, 0)}
}

// peer connects a peer whose outbox only collects.
func (r *rig) peer() *peer {
	p := newPeer(newOutbox(nil, r.q.conf.MaxPending, nil), "127.0.0.1", r.q.conf.Exceptions)
	r.q.connect(p)
	return p
}

// do sends a request and checks the queue.
func (r *rig) do(p *peer, t wire.Type, args ...string) {
	r.t.Helper()
	packet := wire.Packet{Magic: wire.Request, Type: t}
	for _, a := range args {
		packet.Args = append(packet.Args, []byte(a))
	}
	r.q.dispatch(p, packet, r.now)
	r.check()
}

// got takes what p has been sent.
func (r *rig) got(p *peer) []string {
	r.t.Helper()
	var b bytes.Buffer
	for _, chunk := range p.out.take() {
		b.Write(chunk)
	}
	p.out.size, p.out.pending = 0, false
	reader := wire.NewReader(&b, wire.Response, 0)
	var all []string
	for {
		packet, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, packet.String())
	}
}

// want compares what p has been sent.
func (r *rig) want(p *peer, packets ...string) {
	r.t.Helper()
	if got := r.got(p); !slices.Equal(got, packets) {
		r.t.Fatalf("got %q, want %q", got, packets)
	}
}

// check recounts everything that the queue keeps count of.
func (r *rig) check() {
	r.t.Helper()
	for _, problem := range problems(r.q) {
		r.t.Fatal(problem)
	}
}

// problems lists what is inconsistent in a queue.
func problems(q *queue) []string {
	var found []string
	report := func(bad bool, what string) {
		if bad {
			found = append(found, what)
		}
	}
	type counts struct {
		total, running uint32
		queued         [priorities]uint32
	}
	count := map[*function]counts{}
	for handle, j := range q.jobs {
		c := count[j.fn]
		c.total++
		if j.worker != nil {
			c.running++
			report(!slices.Contains(j.worker.jobs, j), "running job is not in hand")
			report(!slices.Contains(j.worker.peer.abilities, j.worker), "job is held by a retired ability")
			report(j.listed, "running job is in a list")
		} else {
			c.queued[j.priority]++
			report(j.listed == (j.slot >= 0), "queued job is neither or both of listed and scheduled")
			report(j.abandoned(), "queued job is abandoned")
		}
		count[j.fn] = c
		report(string(j.handle) != handle, "job under another handle")
		report(q.functions[j.fn.name] != j.fn, "job of a dropped function")
		for _, p := range j.clients {
			_, watches := p.watching[j]
			report(!watches, "client does not know its job")
			report(!slices.Contains(q.peers, p), "client is gone")
		}
		report(j.slot >= 0 && q.deadlines[j.slot] != j, "deadline is not where it says")
	}
	for _, f := range q.order {
		c := count[f]
		report(f.total != c.total || f.running != c.running || f.queued != c.queued, "counts of "+f.name)
		found = append(found, listProblems(q, f)...)
		report(len(f.workers) > 0 && f.turn >= len(f.workers), "turn is out of range")
		for _, a := range f.workers {
			report(!slices.Contains(a.peer.abilities, a), "function has a worker that is none")
		}
		for _, j := range f.uniques {
			report(q.jobs[string(j.handle)] != j, "key of a job that is gone")
		}
		for _, j := range f.byData {
			report(q.jobs[string(j.handle)] != j, "workload of a job that is gone")
		}
	}
	for _, p := range q.peers {
		for j := range p.watching {
			report(!slices.Contains(j.clients, p), "peer watches a job without being its client")
		}
		for _, a := range p.abilities {
			report(!slices.Contains(a.fn.workers, a), "ability is unknown to its function")
			for _, j := range a.jobs {
				report(j.worker != a || q.jobs[string(j.handle)] != j, "job in hand is not")
			}
		}
	}
	return found
}

// listProblems walks the lists of a function.
func listProblems(q *queue, f *function) []string {
	var found []string
	for p := range f.waiting {
		var last *job
		for j := f.waiting[p].head; j != nil; last, j = j, j.next {
			if j.prev != last || !j.listed || q.jobs[string(j.handle)] != j {
				found = append(found, "list of "+f.name+" is broken")
			}
			if last != nil && last.seq >= j.seq {
				found = append(found, "list of "+f.name+" is out of order")
			}
		}
		if f.waiting[p].tail != last {
			found = append(found, "list of "+f.name+" ends elsewhere")
		}
	}
	return found
}
