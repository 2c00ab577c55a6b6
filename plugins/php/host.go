package php

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// Defaults of a Config.
const (
	// DefaultHandshakeTimeout is generous: php is up within 50 ms, and a forked
	// process within 3 ms.
	DefaultHandshakeTimeout = host.DefaultHandshakeTimeout
	// DefaultInitTimeout leaves room for worker files that load data.
	DefaultInitTimeout = host.DefaultInitTimeout
	// DefaultForkTimeout is for a parent that does nothing but fork.
	DefaultForkTimeout = time.Second
)

// Config says how a Host works.
type Config struct {
	// Supervisor starts the processes. It belongs to the caller, has to be a child
	// subreaper and to outlive the workers.
	Supervisor *supervisor.Supervisor
	// Dir is the runtime directory, an absolute path of at most 96 bytes. It has to
	// exist, to belong to this process's user and to be closed to everyone else
	// (mode 0700). A directory "php" is made in it, and removed by Close.
	Dir string
	// Path is the interpreter, an absolute path. It is not searched for.
	Path string
	// Args are the operator's arguments of php, which stand before ours.
	Args []string
	// Env is the whole environment of every process, as key=value.
	Env []string
	// Preload makes the parent of a generation load the worker files before it forks:
	// those that its Warm found good. What they open at top level is then shared by all
	// workers.
	Preload bool
	// Output is called for each line that a parent prints, with host.Stdout or
	// host.Stderr, and for what there is to say of it. It must return soon and may be
	// called by several goroutines. May be nil.
	Output func(stream, line string)
	// Slow is called once for a file, or a pool, whose loading has taken SlowAfter,
	// by a goroutine of its own; whoever loads it waits until it returns. May be nil.
	Slow func(Slow)
	// SlowAfter is DefaultSlowAfter if zero.
	SlowAfter time.Duration
	// HandshakeTimeout is for how long a process may take from its start to its
	// introduction. DefaultHandshakeTimeout if zero.
	HandshakeTimeout time.Duration
	// InitTimeout is for how long a worker may take from there to Hello, which
	// includes the loading of its files; the same goes for each file of an Inspect,
	// and for a preload. DefaultInitTimeout if zero.
	InitTimeout time.Duration
	// ForkTimeout is for how long a parent may take to fork before it is replaced.
	// DefaultForkTimeout if zero.
	ForkTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if c.InitTimeout <= 0 {
		c.InitTimeout = DefaultInitTimeout
	}
	if c.SlowAfter <= 0 {
		c.SlowAfter = DefaultSlowAfter
	}
	if c.ForkTimeout <= 0 {
		c.ForkTimeout = DefaultForkTimeout
	}
	return c
}

// Host makes generations of PHP workers and looks at worker files. Its methods may
// be called from any goroutine.
type Host struct {
	cfg     Config
	files   *files
	door    *listener
	ids     atomic.Uint64 // of the processes so far
	closing chan struct{}

	mu          sync.Mutex
	closed      bool
	engine      *engine                  // of the generations that are made
	generations map[*Generation]struct{} // that are not closed
	slow        map[string]bool          // pools of which it was said that they load for long
}

// New makes the directory with the bridge in it and listens. It starts no php. The
// host has to be closed.
func New(cfg Config) (*Host, error) {
	cfg = cfg.withDefaults()
	if !filepath.IsAbs(cfg.Dir) {
		return nil, &host.DirError{Dir: cfg.Dir, Problem: "is no absolute path"}
	}
	if len(cfg.Dir) > maxDir {
		return nil, &host.DirError{Dir: cfg.Dir, Problem: fmt.Sprintf("is %d bytes long, php's socket leaves room for %d", len(cfg.Dir), maxDir)}
	}
	f, err := writeFiles(cfg.Dir)
	if err != nil {
		return nil, err
	}
	door, err := listen(f.socket, cfg.HandshakeTimeout)
	if err != nil {
		return nil, errors.Join(err, f.remove())
	}
	h := &Host{
		cfg: cfg, files: f, door: door, closing: make(chan struct{}),
		generations: map[*Generation]struct{}{}, slow: map[string]bool{},
	}
	h.engine = &engine{Command: Command{Path: cfg.Path, Args: slices.Clone(cfg.Args), Preload: cfg.Preload}}
	h.engine.scout = h.Generation()
	return h, nil
}

// Close closes all generations and removes the socket and the directory. It blocks
// until their parents have been reaped, at most for the few milliseconds that a kill takes.
// Starts and inspections in progress fail with ErrClosed. Workers that run are not
// touched: they are to end before, as their outputs lie in that directory. Closing
// again is no error.
func (h *Host) Close() error {
	open, first := h.beginClose()
	if !first {
		return nil
	}
	for _, g := range open {
		g.beginClose() // all at once
	}
	for _, g := range open {
		g.finishClose()
	}
	return errors.Join(h.door.close(), h.files.remove())
}

// beginClose wakes all that wait for a process. open are the generations.
func (h *Host) beginClose() (open []*Generation, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false
	}
	h.closed = true
	close(h.closing)
	return slices.Collect(maps.Keys(h.generations)), true
}

// unlessClosed is err, or ErrClosed where that is why: Close kills a process, whose end
// may be noticed first.
func unlessClosed(closing <-chan struct{}, err error) error {
	select {
	case <-closing:
		return ErrClosed
	default:
		return err
	}
}

// nextID numbers a process.
func (h *Host) nextID() string { return strconv.FormatUint(h.ids.Add(1), 10) }

// tell says something of the parent where it can be read.
func (h *Host) tell(line string) {
	if h.cfg.Output != nil {
		h.cfg.Output(host.Stderr, line)
	}
}
