package gearclient

import "context"

// Settle waits until the settings that were changed before it was called hold: every
// slot has told the servers that it is connected to of its functions, and is owed no
// answer to an older GRAB_JOB, or it has a job in hand, after which it will tell each
// server before it asks it for more. So after SetFunctions and Settle, no job of a
// function that was taken away is begun any more, but for one case: a slot that has a
// job in hand, or is to leave, and sleeps on a server that cannot be told before. That
// one may have woken it for a job by then, which it performs. A server that is down is
// told when it is connected.
//
// The error is the cause of ctx if that ends first: a slot may wait for a server that
// hangs for as long as ServerTimeout. It may be called at any time, also before Run.
func (w *Worker) Settle(ctx context.Context) error {
	w.settling.Add(1)
	defer w.settling.Add(-1)
	for {
		settled, changed := w.settled()
		if settled {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settled reports whether every slot goes by the present settings, and gives the
// channel that is closed when it is worth asking again.
func (w *Worker) settled() (bool, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.settings.Load()
	for _, s := range w.slots {
		// In this order: a slot that is seen performing looks at the settings after that,
		// and so at these.
		if !s.performing.Load() && s.heeded.Load() != now {
			return false, w.heeded
		}
	}
	return true, nil
}

// tellSettling makes calls of Settle look again. A slot calls it after it has come
// nearer to the settings; it costs nothing while nobody waits.
func (w *Worker) tellSettling() {
	if w.settling.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.heeded)
	w.heeded = make(chan struct{})
}

// heed notes that the settings hold on every link.
func (s *slot) heed() {
	if s.heeded.Load() == s.known {
		return
	}
	for _, l := range s.links {
		if !l.heeds() {
			return
		}
	}
	s.heeded.Store(s.known)
	s.worker.tellSettling()
}

// heeds reports whether no job can come that older settings have let the slot ask for.
// The link has been brought to the settings as far as it can be now.
func (l *link) heeds() bool {
	switch l.state {
	case linkDown, linkParting: // registers when it connects, or never again
		return true
	case linkHeld, linkAwake, linkAsleep, linkParked:
	}
	return !l.asked && (!l.slept || !l.stale)
}
