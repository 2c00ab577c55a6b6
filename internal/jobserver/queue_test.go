package jobserver

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// TestHandlesSkipThoseInUse lets the counter run over its end.
func TestHandlesSkipThoseInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	c := r.peer()
	r.do(c, wire.SubmitJobBg, "f", "", "1")
	r.q.handles = math.MaxUint32 - 1
	r.do(c, wire.SubmitJobBg, "f", "", "2")
	r.do(c, wire.SubmitJobBg, "f", "", "3")
	r.do(c, wire.SubmitJobBg, "f", "", "4")
	r.want(c, `RES JOB_CREATED "H:1"`, `RES JOB_CREATED "H:4294967295"`, `RES JOB_CREATED "H:0"`, `RES JOB_CREATED "H:2"`)
}

// TestScheduledJobsBecomeDueInTheirOrder moves the clock.
func TestScheduledJobsBecomeDueInTheirOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	c, w := r.peer(), r.peer()
	r.do(w, wire.CanDo, "f")
	at := func(s int64) string { return strconv.FormatInt(r.now.Unix()+s, 10) }
	r.do(c, wire.SubmitJobEpoch, "f", "", at(20), "second")
	r.do(c, wire.SubmitJobEpoch, "f", "", at(10), "first")
	r.do(c, wire.SubmitJobBg, "f", "", "now")
	r.do(w, wire.GrabJob)
	r.do(w, wire.GrabJob)
	r.do(w, wire.PreSleep)
	r.want(w, `RES JOB_ASSIGN "H:3" "f" "now"`, `RES NO_JOB`)
	for _, step := range []struct {
		after int
		want  []string
	}{
		{9, nil}, {1, []string{`RES NOOP`}}, {9, nil}, {1, nil}, // asleep and woken: no second NOOP
	} {
		r.now = r.now.Add(time.Duration(step.after) * time.Second)
		r.q.expire(r.now)
		r.check()
		r.want(w, step.want...)
	}
	r.do(w, wire.GrabJob)
	r.do(w, wire.GrabJob)
	r.want(w, `RES JOB_ASSIGN "H:1" "f" "second"`, `RES JOB_ASSIGN "H:2" "f" "first"`)
}

// TestTimeLimit moves the clock past a limit, with the answer before and after.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	c, w := r.peer(), r.peer()
	r.do(w, wire.CanDoTimeout, "f", "5000")
	r.do(c, wire.SubmitJobBg, "f", "", "1")
	r.do(w, wire.GrabJob)
	r.do(w, wire.WorkComplete, "H:1", "")
	if next := r.q.deadlines.next(); !next.IsZero() {
		t.Fatalf("deadline %v after the answer", next)
	}
	r.do(c, wire.SubmitJobBg, "f", "", "2")
	r.do(w, wire.GrabJob)
	limit := r.now.Add(5 * time.Second)
	r.now = r.now.Add(3 * time.Second)
	r.do(w, wire.WorkStatus, "H:2", "1", "2") // does not extend it
	if next := r.q.deadlines.next(); !next.Equal(limit) {
		t.Fatalf("deadline %v, want %v", next, limit)
	}
	r.now = limit
	r.q.expire(r.now)
	r.check()
	if j := r.q.jobs["H:2"]; j.worker != nil || j.attempts != 1 {
		t.Fatalf("job was not queued again: %+v", j)
	}
}

// TestDataOverTheCap: whoever sends it is told, and a job whose result it was
// has failed.
func TestDataOverTheCap(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	c, w := r.peer(), r.peer()
	r.do(w, wire.CanDo, "f")
	r.do(c, wire.SubmitJob, "f", "", "1")
	r.do(w, wire.GrabJob)
	r.got(c)
	r.got(w)
	over := func(p *peer, typ wire.Type, args ...string) {
		t.Helper()
		packet := wire.Packet{Type: typ}
		for _, a := range args {
			packet.Args = append(packet.Args, []byte(a))
		}
		r.q.tooLarge(p, packet, &wire.TooLargeError{Type: typ, Size: 9, Limit: 8})
		r.check()
	}
	refused := func(typ wire.Type) string {
		return fmt.Sprintf(`RES ERROR "ARGUMENT_TOO_LARGE" "%v: 9 bytes of data, over the limit of 8"`, typ)
	}
	over(c, wire.SubmitJob, "f", "")
	r.want(c, refused(wire.SubmitJob))
	over(w, wire.WorkData, "H:1")
	r.want(w, refused(wire.WorkData))
	r.want(c)
	over(w, wire.WorkComplete, "H:1")
	r.want(w, refused(wire.WorkComplete))
	r.want(c, `RES WORK_FAIL "H:1"`)
	over(w, wire.WorkComplete, "H:1")
	r.want(w, refused(wire.WorkComplete))
	r.want(c)
}

// TestEventsOfJobs counts what is told about retries.
func TestEventsOfJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{JobRetries: 2, Events: func(Event) {}})
	c := r.peer()
	r.do(c, wire.SubmitJob, "f", "", "1")
	for range 2 {
		w := r.peer()
		r.do(w, wire.CanDo, "f")
		r.do(w, wire.GrabJob)
		r.q.disconnect(w)
		r.check()
	}
	want := []Event{JobRequeued{"H:1", "f", 1}, JobDropped{"H:1", "f", 2}}
	if fmt.Sprint(r.q.events) != fmt.Sprint(want) {
		t.Fatalf("events %v, want %v", r.q.events, want)
	}
}

// TestRevivedJob: who asks for a job that was cancelled while it runs gets it,
// also when its worker is lost.
func TestRevivedJob(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	c, d, w := r.peer(), r.peer(), r.peer()
	r.do(w, wire.CanDo, "f")
	r.do(c, wire.SubmitJob, "f", "u", "1")
	r.do(w, wire.GrabJob)
	r.q.command(c, []byte("cancel job H:1\n"))
	r.check()
	c.out.take()
	r.do(d, wire.SubmitJob, "f", "u", "1")
	r.q.disconnect(w)
	r.check()
	v := r.peer()
	r.do(v, wire.CanDo, "f")
	r.do(v, wire.GrabJob)
	r.do(v, wire.WorkComplete, "H:1", "done")
	r.want(d, `RES JOB_CREATED "H:1"`, `RES WORK_COMPLETE "H:1" "done"`)
}

// TestRandomHistories performs long random histories and recounts after each
// step. At the end everybody leaves, and only background jobs may be left.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			h := &history{
				rig:    newRig(t, Config{JobRetries: int(seed % 4), WorkerWakeup: int(seed % 3), RoundRobin: seed%2 == 0}),
				random: rand.New(rand.NewPCG(seed, 1)),
			}
			for range 2000 {
				h.step()
			}
			h.end()
		})
	}
}

// history is a queue that random things happen to.
type history struct {
	*rig
	random *rand.Rand
	peers  []*peer
}

// pick returns one of the words.
func (h *history) pick(words ...string) string { return words[h.random.IntN(len(words))] }

// step does one random thing.
func (h *history) step() {
	if len(h.peers) == 0 || h.random.IntN(40) == 0 {
		h.peers = append(h.peers, h.peer())
	}
	i := h.random.IntN(len(h.peers))
	p := h.peers[i]
	fn := h.pick("f", "g", "h")
	handle := fmt.Sprintf("H:%d", h.q.handles-h.random.Uint32N(min(h.q.handles, 12)+1))
	for _, a := range p.abilities {
		if len(a.jobs) > 0 && h.random.IntN(4) > 0 {
			handle = string(a.jobs[0].handle)
		}
	}
	switch h.random.IntN(24) {
	case 0:
		h.q.disconnect(p)
		h.peers = append(h.peers[:i], h.peers[i+1:]...)
		h.check()
	case 1, 2:
		h.do(p, wire.CanDo, fn)
	case 3:
		h.do(p, wire.CanDoTimeout, fn, h.pick("0", "1000", "3000"))
	case 4:
		h.do(p, wire.Type(h.pick("\x02", "\x03")[0]), fn) // CANT_DO or RESET_ABILITIES
	case 5, 6, 7:
		h.do(p, wire.GrabJob)
	case 8:
		h.do(p, wire.PreSleep)
	case 9, 10, 11:
		types := []wire.Type{wire.SubmitJob, wire.SubmitJobBg, wire.SubmitJobHigh, wire.SubmitJobLow, wire.SubmitJobLowBg}
		h.do(p, types[h.random.IntN(len(types))], fn, h.pick("", "u", "v", "-"), h.pick("", "1", "2"))
	case 12:
		h.do(p, wire.SubmitJobEpoch, fn, h.pick("", "u"), strconv.FormatInt(h.now.Unix()+h.random.Int64N(6), 10), "later")
	case 13, 14, 15:
		h.do(p, wire.WorkComplete, handle, "done")
	case 16:
		h.do(p, wire.WorkFail, handle)
	case 17:
		h.do(p, wire.WorkException, handle, "oops")
	case 18:
		h.do(p, wire.WorkStatus, handle, "1", "2")
	case 19, 20:
		h.now = h.now.Add(time.Duration(h.random.IntN(1500)) * time.Millisecond)
		h.q.expire(h.now)
		h.check()
	case 21:
		h.q.command(p, []byte("cancel job "+handle+"\n"))
		h.check()
	case 22:
		h.q.command(p, []byte(h.pick("drop function ", "maxqueue ", "create function ")+fn+"\r\n"))
		h.check()
	case 23:
		h.q.command(p, []byte(h.pick("status", "workers", "show jobs", "prioritystatus", "show unique jobs")+"\n"))
		p.out.take()
	}
}

// end lets everybody leave.
func (h *history) end() {
	for _, p := range h.peers {
		h.q.disconnect(p)
		h.check()
	}
	for _, j := range h.q.jobs {
		if !j.background {
			h.t.Fatalf("foreground job %s outlived everybody", j.handle)
		}
	}
}
