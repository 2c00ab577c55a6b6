package supervisor

import (
	"sync"
	"time"
)

// What waits for its delivery at most, for each output: about as much as the burst
// that is delivered (5 × DefaultLinesPerSecond), if its lines are short.
const (
	maxQueuedLines = 5_000
	maxQueuedBytes = 256 << 10
)

// burstSeconds is how many seconds' worth of lines may come at once.
const burstSeconds = 5

// tellEvery is how often it is told at most that lines are missing.
const tellEvery = time.Second

// delivery hands lines to Line, at a rate that is capped, while others are added.
// What comes too fast, for the cap or for Line, is dropped and counted. Nothing here
// costs anything while there is nothing to deliver: the goroutine that does it ends
// when the queue is empty, and the timer runs only while lines are missing that
// nobody has been told of.
type delivery struct {
	line    func([]byte)
	dropped func(int) // may be nil
	rate    float64   // lines a second; 0: any

	running sync.WaitGroup // the goroutine that delivers

	mu         sync.Mutex
	delivering bool
	queue      []queued // from head on
	head       int
	bytes      int
	tokens     float64 // how many lines may be delivered now
	filled     time.Time
	missing    int       // lines dropped since it was told; none is queued until that is
	quiet      time.Time // until then it is not told again
	timer      *time.Timer
}

// queued is a line, or how many are missing in its place.
type queued struct {
	text    []byte
	missing int
}

func newDelivery(cfg *OutputConfig, now time.Time) *delivery {
	rate := float64(max(cfg.LinesPerSecond, 0))
	return &delivery{
		line: cfg.Line, dropped: cfg.Dropped, rate: rate,
		tokens: burstSeconds * rate, filled: now,
	}
}

// add queues a copy of the line or drops it. It never waits for Line.
func (d *delivery) add(text []byte, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fill(now)
	if d.missing > 0 && d.recovered(now) {
		d.tell(now)
	}
	if d.missing == 0 && d.hasRoom(len(text)) && d.allows(1) {
		d.tokens--
		d.push(queued{text: append(make([]byte, 0, len(text)), text...)})
		return
	}
	if d.missing == 0 {
		d.timer = time.AfterFunc(tellEvery, d.late)
	}
	d.missing++
}

func (d *delivery) fill(now time.Time) {
	if since := now.Sub(d.filled).Seconds(); d.rate > 0 && since > 0 {
		d.tokens = min(burstSeconds*d.rate, d.tokens+since*d.rate)
		d.filled = now
	}
}

// hasRoom tells whether a line may be queued; one always may, however long.
func (d *delivery) hasRoom(size int) bool {
	waiting := len(d.queue) - d.head
	return waiting == 0 || waiting < maxQueuedLines && d.bytes+size <= maxQueuedBytes
}

func (d *delivery) allows(lines float64) bool { return d.rate == 0 || d.tokens >= lines }

// recovered tells whether it pays to go on delivering: so much of it that lines and
// notes of missing ones do not alternate.
func (d *delivery) recovered(now time.Time) bool {
	return !now.Before(d.quiet) && d.allows(d.rate) &&
		len(d.queue)-d.head <= maxQueuedLines/2 && d.bytes <= maxQueuedBytes/2
}

// tell queues that lines are missing. Between two such notes without a line between
// them there is no difference, so that a Line that never returns does not make the
// queue grow.
func (d *delivery) tell(now time.Time) {
	if d.missing == 0 {
		return
	}
	if last := len(d.queue) - 1; last >= d.head && d.queue[last].missing > 0 {
		d.queue[last].missing += d.missing
	} else {
		d.push(queued{missing: d.missing})
	}
	d.missing, d.quiet = 0, now.Add(tellEvery)
	d.timer.Stop()
}

// late tells of missing lines though no further one comes.
func (d *delivery) late() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.missing == 0 {
		return
	}
	now := time.Now()
	if wait := d.quiet.Sub(now); wait > 0 { // it was told when the timer was about to say so
		d.timer.Reset(wait)
		return
	}
	d.tell(now)
}

func (d *delivery) push(q queued) {
	if d.head > len(d.queue)/2 && len(d.queue) == cap(d.queue) {
		n := copy(d.queue, d.queue[d.head:])
		clear(d.queue[n:])
		d.queue, d.head = d.queue[:n], 0
	}
	d.queue = append(d.queue, q)
	d.bytes += len(q.text)
	if !d.delivering {
		d.delivering = true
		d.running.Go(d.deliver)
	}
}

// deliver calls Line and Dropped until nothing is queued.
func (d *delivery) deliver() {
	for {
		q, ok := d.pop()
		switch {
		case !ok:
			return
		case q.missing == 0:
			d.line(q.text)
		case d.dropped != nil:
			d.dropped(q.missing)
		}
	}
}

func (d *delivery) pop() (q queued, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.head == len(d.queue) {
		d.queue, d.head, d.delivering = nil, 0, false // an idle output keeps no memory
		return queued{}, false
	}
	q = d.queue[d.head]
	d.queue[d.head] = queued{}
	d.head++
	d.bytes -= len(q.text)
	return q, true
}

// end tells at once of what is missing. No line comes any more.
func (d *delivery) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tell(time.Now())
}

// wait waits, after end, until all has been delivered.
func (d *delivery) wait() { d.running.Wait() }
