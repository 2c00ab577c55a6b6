package manager

import (
	"slices"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// ledger remembers suspect jobs over all pools. Its methods may be called from
// any goroutine; none of them waits for anything.
type ledger struct {
	now     func() time.Time
	most    int
	changed chan struct{} // gets a value after changes; one stands for many

	mu      sync.Mutex
	list    []*suspect // the one charged longest ago first
	version uint64     // counts changes
	// dropped are jobs that are suspect no more, the latest last: a worker that was
	// asked to run before has to hear of it. The first ones are forgotten.
	dropped []droppedSuspect
	// untold are those of them that the workers that run do not know of yet. They
	// are told with the next charge: nothing wakes up for them.
	untold []*suspect
}

type droppedSuspect struct {
	*suspect

	version uint64 // of the list without it
}

func newLedger(most int) *ledger {
	return &ledger{now: time.Now, most: most, changed: make(chan struct{}, 1)}
}

// charge notes a charge and returns what the workers have to know of the job, and
// the suspects that they have to forget.
func (l *ledger) charge(c charge) (told *workerpb.SuspectJob, forgotten []*suspect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.expire(now)
	s := l.entry(c.job)
	s.function, s.worker, s.last = c.function.Name, c.worker, now
	if s.first.IsZero() {
		s.first = now
	}
	if c.unique != "" {
		s.unique = c.unique
	}
	if c.attempt {
		s.attempts++
	}
	if !s.fail {
		s.judge(c)
	}
	forgotten, l.untold = l.untold, nil
	l.change()
	return s.message(), forgotten
}

// entry returns what is known of the job and makes it the one charged last. It is
// called with the lock, as are the methods below it.
func (l *ledger) entry(key jobKey) *suspect {
	s := &suspect{key: key}
	if i := slices.IndexFunc(l.list, func(s *suspect) bool { return s.key == key }); i >= 0 {
		s = l.list[i]
		l.list = slices.Delete(l.list, i, i+1)
	}
	for len(l.list) >= l.most {
		l.untold = append(l.untold, l.drop(func(other *suspect) bool { return other == l.list[0] })...)
	}
	l.list = append(l.list, s)
	l.untold = slices.DeleteFunc(l.untold, func(s *suspect) bool { return s.key == key })
	l.dropped = slices.DeleteFunc(l.dropped, func(s droppedSuspect) bool { return s.key == key })
	return s
}

// drop takes jobs from the list and returns them.
func (l *ledger) drop(which func(*suspect) bool) (gone []*suspect) {
	keep := make([]*suspect, 0, len(l.list))
	for _, s := range l.list {
		if which(s) {
			gone = append(gone, s)
		} else {
			keep = append(keep, s)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	l.list = keep
	l.change()
	for _, s := range gone {
		l.dropped = append(l.dropped, droppedSuspect{suspect: s, version: l.version})
	}
	l.dropped = slices.Delete(l.dropped, 0, max(0, len(l.dropped)-l.most))
	return gone
}

func (l *ledger) expire(now time.Time) {
	l.untold = append(l.untold, l.drop(func(s *suspect) bool { return s.expired(now) })...)
}

func (l *ledger) change() {
	l.version++
	l.touch()
}

// touch has the list written again. It needs no lock.
func (l *ledger) touch() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// of returns the suspects among the jobs of those functions, and the version of
// the list.
func (l *ledger) of(functions []FunctionPlan) ([]*workerpb.SuspectJob, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(l.now())
	return l.among(functions), l.version
}

func (l *ledger) among(functions []FunctionPlan) (out []*workerpb.SuspectJob) {
	for _, s := range l.list {
		if performedBy(functions, s) {
			out = append(out, s.message())
		}
	}
	return out
}

// since returns what a worker with those functions has to be told that knows the
// list of that version, nil if it knows all.
func (l *ledger) since(version uint64, functions []FunctionPlan) *workerpb.Suspects {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(l.now())
	if l.version == version {
		return nil
	}
	news := &workerpb.Suspects{Add: l.among(functions)}
	for _, s := range l.dropped {
		if s.version > version && performedBy(functions, s.suspect) {
			news.Remove = append(news.Remove, s.key.id())
		}
	}
	if len(news.GetAdd()) == 0 && len(news.GetRemove()) == 0 {
		return nil
	}
	return news
}

func performedBy(functions []FunctionPlan, s *suspect) bool {
	return slices.ContainsFunc(functions, func(f FunctionPlan) bool { return f.Name == s.function })
}

// release takes jobs from the list. The caller tells the workers.
func (l *ledger) release(which func(*suspect) bool) []*suspect {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(l.now())
	return l.drop(which)
}

// all returns copies of all that is known, the one charged longest ago first.
func (l *ledger) all() []suspect {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(l.now())
	out := make([]suspect, 0, len(l.list))
	for _, s := range l.list {
		out = append(out, *s)
	}
	return out
}

// restore puts what an earlier manager knew into the list, unless it is too old.
// It is called before there are workers.
func (l *ledger) restore(known []suspect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, k := range known {
		if k.last.After(now) { // the clock was set
			k.last = now
		}
		if !k.expired(now) {
			*l.entry(k.key) = k
		}
	}
	l.untold, l.dropped = nil, nil
	l.change()
}
