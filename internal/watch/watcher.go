package watch

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultQuiet is longer than what lies between the system calls of an editor's save or a copy, and short for a person.
	defaultQuiet = 300 * time.Millisecond
	// defaultLongest bounds a burst: a directory that is written to without end is looked at this often.
	defaultLongest = 5 * time.Second
	// defaultRescan is when changes that are not notified are found.
	defaultRescan = 30 * time.Second
	// closeWait bounds how long Close waits for a system call on a file system that does not answer.
	closeWait = 2 * time.Second
)

// ErrBusy is returned by Close if a file system does not answer. The Watcher ends when it does.
var ErrBusy = errors.New("a file system does not answer, the watcher ends when it does")

// Config says how a Watcher works. The zero value is ready to use.
type Config struct {
	// Quiet is how long nothing must have happened before a Change is sent: 300 ms if zero.
	Quiet time.Duration
	// Longest is how long after the first event of a burst a Change is sent although it goes on: 5 s if zero.
	Longest time.Duration
	// Rescan is the interval of Changes that no event brought: 30 s if zero.
	Rescan time.Duration
	// OnProblem is called once when notifications cease to be complete, and again only after they were complete in between: with a [*LimitError], or
	// another error that says what cannot be watched. It is called by a goroutine of the Watcher, and must not wait for it. It may be nil.
	OnProblem func(error)

	// open makes a notifier; openInotify if nil.
	open func() (notifier, error)
}

// withDefaults returns the config with what is not set filled in.
func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&c.Quiet, defaultQuiet)
	set(&c.Longest, defaultLongest)
	set(&c.Rescan, defaultRescan)
	if c.OnProblem == nil {
		c.OnProblem = func(error) {}
	}
	if c.open == nil {
		c.open = openInotify
	}
	return c
}

// Change says that files may have changed.
type Change struct {
	// Paths are those that events named, sorted; symbolic links in them are resolved. There need not be any.
	Paths []string
	// More says that not all paths are named: there were too many, or events were lost.
	More bool
	// Rescan says that no event brought the Change but only the interval.
	Rescan bool
}

// Watcher sends Changes. All its methods may be called at the same time.
type Watcher struct {
	cfg     Config
	changes chan Change
	problem atomic.Pointer[string]

	// mu guards paths.
	mu sync.Mutex
	// paths are those of the last Set.
	paths []string
	// set says that paths are new. Capacity 1.
	set chan struct{}

	stopOnce sync.Once
	stop     chan struct{}
	done     chan struct{}
}

// New starts a Watcher of nothing, which sends only rescans until it is given paths. The caller closes it.
func New(cfg Config) *Watcher {
	w := &Watcher{
		cfg:     cfg.withDefaults(),
		changes: make(chan Change, 1),
		set:     make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	none := ""
	w.problem.Store(&none)
	l := newLoop(w)
	l.open()
	go l.run()
	return w
}

// Set replaces what is watched: files, directories and globs, each with its symbolic links, whether they exist or not. Relative paths are relative to
// the working directory of this moment. It returns at once; directories are looked up in the background.
func (w *Watcher) Set(paths []string) {
	paths = absolute(paths)
	w.mu.Lock()
	same := slices.Equal(w.paths, paths)
	w.paths = paths
	w.mu.Unlock()
	if !same {
		signal(w.set)
	}
}

// current returns the paths of the last Set.
func (w *Watcher) current() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paths
}

// Changes returns the channel on which Changes come. It holds one, into which later ones are merged until it is received. It is closed by Close.
func (w *Watcher) Changes() <-chan Change { return w.changes }

// Polling returns a sentence that says why changes, or some of them, are found by rescans only. It is empty if all are notified.
func (w *Watcher) Polling() string { return *w.problem.Load() }

// Close ends the Watcher and waits for it. It may be called more than once. A file system that does not answer cannot hold it up: it returns [ErrBusy] then.
func (w *Watcher) Close() error {
	w.stopOnce.Do(func() { close(w.stop) })
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-w.done:
		return nil
	case <-timer.C:
		return ErrBusy
	}
}

// signal fills a channel of capacity 1, if it is empty.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
