package watch

import (
	"sync"
	"time"
)

// maxPasses bounds how often the directories are worked out anew because some were added. Each pass sees what was replaced during the one before.
const maxPasses = 8

// loop is the state of the goroutine that works out what to watch and sends Changes. Nothing else uses it.
type loop struct {
	w *Watcher
	// notifier is nil while there is none.
	notifier notifier
	burst    *burst
	readers  sync.WaitGroup
	// watched are the directories that the notifier watches.
	watched map[string]fileID
	// problem is why not all is notified, reported that OnProblem was told.
	problem  error
	reported bool

	// timer fires at the end of a burst.
	timer *time.Timer
	// deadline is when the burst that is under way ends at the latest; zero if there is none.
	deadline time.Time
}

// newLoop returns a loop that watches nothing.
func newLoop(w *Watcher) *loop {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &loop{w: w, burst: newBurst(), watched: make(map[string]fileID), timer: timer}
}

// run works until the Watcher is closed.
func (l *loop) run() {
	defer close(l.w.done)
	defer close(l.w.changes)
	defer l.close()
	ticker := time.NewTicker(l.w.cfg.Rescan)
	defer ticker.Stop()
	l.report()
	for {
		select {
		case <-l.w.stop:
			return
		case <-l.w.set:
			if l.resolve(false) {
				l.extend()
			}
		case <-l.burst.wake:
			l.woken()
		case <-l.timer.C:
			l.flush()
		case <-ticker.C:
			l.rescan()
		}
	}
}

// woken goes on with a burst, or ends it at once if events were lost.
func (l *loop) woken() {
	switch some, lost, broken := l.burst.peek(); {
	case lost, broken != nil:
		l.flush()
	case some:
		l.extend()
	}
}

// extend begins a burst, or waits for quiet anew in one.
func (l *loop) extend() {
	now := time.Now()
	if l.deadline.IsZero() {
		l.deadline = now.Add(l.w.cfg.Longest)
	}
	l.timer.Reset(min(l.w.cfg.Quiet, l.deadline.Sub(now)))
}

// flush ends a burst.
func (l *loop) flush() {
	l.timer.Stop()
	l.deadline = time.Time{}
	got := l.burst.take()
	if got.broken != nil {
		l.drop()
		l.fail(openProblem(got.broken))
	}
	l.forget(got.gone)
	l.resolve(got.lost)
	l.send(got.change())
}

// forget ends watching directories that were moved or removed, so that what is there now is watched.
func (l *loop) forget(dirs []string) {
	for _, dir := range dirs {
		if _, ok := l.watched[dir]; ok {
			_ = l.notifier.Remove(dir) // The notifier may have noticed.
			delete(l.watched, dir)
		}
	}
}

// rescan tries again what did not work, and makes sure of what did.
func (l *loop) rescan() {
	if l.notifier == nil {
		l.open()
	}
	l.resolve(true)
	l.report()
	l.send(Change{Rescan: true})
}

// send sends a Change, together with one that was not received yet. Nothing else sends, so that there is room for it.
func (l *loop) send(c Change) {
	select {
	case old := <-l.w.changes:
		c = merge(old, c)
	default:
	}
	l.w.changes <- c
}

// open makes a notifier.
func (l *loop) open() {
	n, err := l.w.cfg.open()
	if err != nil {
		l.fail(openProblem(err))
		return
	}
	l.notifier = n
	l.fail(nil)
	l.readers.Go(func() { l.burst.read(n) })
}

// drop closes the notifier and forgets what it watched.
func (l *loop) drop() {
	if l.notifier == nil {
		return
	}
	_ = l.notifier.Close()
	l.readers.Wait()
	l.notifier = nil
	clear(l.watched)
}

// close ends what the loop has begun.
func (l *loop) close() {
	l.timer.Stop()
	l.drop()
}

// resolve works out what to watch until nothing is added, and watches it. It reports whether a directory was added. With all set, the notifier is given also those
// that it is known to watch: one may have been unmounted, or replaced by one with the same inode.
func (l *loop) resolve(all bool) (added bool) {
	defer l.report()
	if l.notifier == nil {
		return false
	}
	for range maxPasses {
		p := resolve(l.w.current())
		l.burst.plan.Store(p)
		again, problem := l.apply(p, all)
		if problem == nil && p.cut {
			problem = &TooManyError{Limit: maxDirs}
		}
		l.fail(problem)
		if !again {
			return added
		}
		added, all = true, false
	}
	return added
}

// apply watches what the plan says and nothing else. It reports whether a directory was added or has vanished, and what an operator should know.
func (l *loop) apply(p *plan, all bool) (again bool, problem error) {
	for dir, id := range l.watched {
		if in, ok := p.dirs[dir]; !ok || in.id != id {
			_ = l.notifier.Remove(dir) // It is gone already, or of no interest.
			delete(l.watched, dir)
		}
	}
	for _, dir := range p.order() {
		_, known := l.watched[dir]
		if known && !all {
			continue
		}
		err := l.notifier.Add(dir)
		if err == nil {
			l.watched[dir] = p.dirs[dir].id
			again = again || !known
			continue
		}
		delete(l.watched, dir)
		again = again || vanished(err)
		problem = firstOf(problem, addProblem(dir, err, p.dirs[dir].needed))
		if _, full := problem.(*LimitError); full { //nolint:errorlint // it is what addProblem made
			break
		}
	}
	return again, problem
}

// firstOf returns the first of two errors.
func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// fail notes why not all is notified; nil if all is.
func (l *loop) fail(problem error) {
	l.problem = problem
	text := ""
	if problem != nil {
		text = problem.Error() + "; changes that are not notified are found every " + l.w.cfg.Rescan.String()
	}
	l.w.problem.Store(&text)
}

// report tells of a problem that has not been told of.
func (l *loop) report() {
	if l.problem != nil && !l.reported {
		l.w.cfg.OnProblem(l.problem)
	}
	l.reported = l.problem != nil
}
