package manager

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// lookEvery is how often a pool that has failed looks whether its program has
// changed. Only such pools do.
const lookEvery = 2 * time.Second

// retry is what a pool knows of starts that failed. It is the pool's and not the
// place's, since all workers of an edition are alike.
type retry struct {
	failures int       // in a row
	at       time.Time // of the next try
	since    time.Time // the last failure; starts from before it say nothing new
	gaveUp   bool      // nothing is started before the program changes, or somebody says so
	lookAt   time.Time // when it is looked whether the program has changed
	stamp    string    // of the program that failed
	again    string    // why all this is to be forgotten; empty if it is not
	retaking string    // the same while it is looked what the disk holds
}

// startAt is the earliest moment at which an empty place may get a worker.
func (p *pool) startAt(pl *place) time.Time {
	at := pl.notBefore
	if p.retry.failures > 0 && p.retry.at.After(at) {
		at = p.retry.at
	}
	return at
}

// probing tells whether starts have failed again and again, and one worker is
// trying just now: the others wait for what becomes of it.
func (p *pool) probing() bool {
	if p.retry.failures < 2 {
		return false
	}
	for _, w := range p.workers() {
		if !w.proven && w.launched.After(p.retry.since) {
			return true
		}
	}
	return false
}

// failed notes a start that failed and decides when the next one may be. Of many
// workers that fail at the same time only the first counts, and none that was started from
// what no worker is started from any more.
func (p *pool) failed(w *worker, now time.Time) {
	if !w.launched.After(p.retry.since) || p.outdated(w) {
		return
	}
	p.retry.failures++
	p.retry.since = now
	p.retry.at = now.Add(backoffDelay(p.retry.failures, p.cfg.random()))
}

// giveUp makes a pool failed that has had as many tries as it may. It is called
// after the event that tells of the last one.
func (p *pool) giveUp(now time.Time, last error) {
	if p.retry.gaveUp || p.stopping || !p.exhausted() {
		return
	}
	p.retry.gaveUp = true
	p.retry.stamp = p.programStamp()
	p.retry.lookAt = now.Add(lookEvery)
	p.cfg.emit(PoolFailed{Pool: p.plan().Name, Failures: p.retry.failures, Err: last})
}

// exhausted tells whether as many starts in a row have failed as may.
func (p *pool) exhausted() bool {
	most := p.plan().StartRetries
	return most > 0 && p.retry.failures > most
}

// lookAgain tries a pool that has failed once more when its program has changed.
func (p *pool) lookAgain(now time.Time) {
	p.retry.lookAt = time.Time{}
	switch {
	case !p.retry.gaveUp:
	case p.programStamp() != p.retry.stamp:
		p.tryAgain("its program has changed")
	default:
		p.retry.lookAt = now.Add(lookEvery)
	}
}

// tryAgain has the starts that failed forgotten at the next tick, and tells whether
// there were any.
func (p *pool) tryAgain(reason string) bool {
	if p.retry.failures == 0 {
		return false
	}
	p.retry.again = reason
	return true
}

// startAnew forgets the starts that failed. What is started from then on is what the
// disk holds.
func (p *pool) startAnew(ctx context.Context) {
	reason := p.retry.again
	p.retry.again = ""
	if p.cfg.retake == nil {
		p.forgetFailures(reason)
		return
	}
	p.retry.retaking = reason
	p.helpers.Go(func() {
		p.cfg.retake(ctx, p.plan().Name)
		p.post(func() {
			if p.retry.retaking != "" { // there was nothing new
				p.forgetFailures(reason)
			}
		})
	})
}

func (p *pool) forgetFailures(reason string) {
	p.retry = retry{since: p.retry.since}
	p.cfg.emit(PoolRetried{Pool: p.plan().Name, Reason: reason})
}

// programStamp changes when a file does that the pool runs.
func (p *pool) programStamp() string {
	paths := []string{p.edition.program.path}
	for _, f := range p.plan().Functions {
		paths = append(paths, f.Program)
	}
	var stamp strings.Builder
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&stamp, "%s %d %d %d\n", path, info.ModTime().UnixNano(), info.Size(), fileID(info))
		} else {
			fmt.Fprintf(&stamp, "%s is not there\n", path)
		}
	}
	return stamp.String()
}

// fileID is what a file that replaces another has of its own, whatever its time.
func fileID(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// proves is how long a worker has to live after its hello for its start to count as a
// success. A standalone one has done so before.
func (p *pool) proves() time.Duration {
	if !p.holds() {
		return 0
	}
	return p.plan().StartSeconds
}

// proven notes that a worker works.
func (p *pool) proven(w *worker) {
	if w.proven {
		return
	}
	w.proven, w.provenAt = true, time.Time{}
	w.edition.proven = true
	if w.launched.After(p.retry.since) && !p.outdated(w) {
		p.retry.failures = 0
	}
}
