package supervisor

import (
	"time"

	"golang.org/x/sys/unix"
)

// BeginStart and SettleStart make a start last as long as a test wants.
func (s *Supervisor) BeginStart() (uint64, error) { return s.begin(nil) }

// SettleStart ends a start that has not succeeded.
func (s *Supervisor) SettleStart(number uint64) { s.settle(number, nil) }

// Unplaced tells whether the reaper has seen a child that may belong to a start
// in progress.
func (s *Supervisor) Unplaced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reg.unplaced
}

// IsZombie tells whether a child has ended and has not been collected.
func IsZombie(pid int) bool { return peek(unix.P_PID, pid) == pid }

// ParseStat gives the fuzzer what StartTimeOf reads.
func ParseStat(data []byte) (startTime uint64, err error) {
	stat, err := parseStat(data)
	return stat.startTime, err
}

// ParseStatm is what MemoryOf reads.
func ParseStatm(text string) (Memory, error) { return parseStatm(text) }

// LineSplitter gives the fuzzer what Output divides lines with.
type LineSplitter struct{ s lineSplitter }

// NewLineSplitter makes one.
func NewLineSplitter(limit int, emit func([]byte)) *LineSplitter {
	return &LineSplitter{lineSplitter{max: limit, emit: emit}}
}

// Write takes more of the stream.
func (l *LineSplitter) Write(data []byte) { l.s.write(data) }

// Flush ends the stream.
func (l *LineSplitter) Flush() { l.s.flush() }

// StartByHand is a start whose child the test forks: record ends it. Until then
// the start is in progress.
func (s *Supervisor) StartByHand(fork func() (pid int)) (pid int, record func() *Process) {
	s.forking.RLock()
	number, err := s.begin(nil)
	if err != nil {
		panic(err)
	}
	pid = fork()
	return pid, func() *Process {
		defer s.forking.RUnlock()
		p := &Process{pid: pid, name: "by hand", done: make(chan struct{})}
		s.settle(number, p)
		return p
	}
}

// AwaitedStarts tells whether somebody waits for the starts in progress.
func (s *Supervisor) AwaitedStarts() bool {
	if !s.forking.TryRLock() {
		return true
	}
	s.forking.RUnlock()
	return false
}

// SawStranger tells whether a child that is not known has been stopped while starts
// were in progress.
func (s *Supervisor) SawStranger() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reg.strangers
}

// OOMKills is a counter of kills in a file.
type OOMKills struct{ k *oomKills }

// NewOOMKills begins to count.
func NewOOMKills(path string) *OOMKills {
	k := &oomKills{path: path}
	k.last, _ = k.read()
	return &OOMKills{k: k}
}

// Claim tells whether a death is explained.
func (o *OOMKills) Claim(now time.Time) bool { return o.k.claim(now) }

// GroupCounters are the files of the groups in that text.
func GroupCounters(groups []byte, root string) []string { return groupCounters(groups, root) }

// NewCounting makes a supervisor that reads the kernel's counter from a file.
func NewCounting(cfg Config, path string) *Supervisor {
	s, err := newSupervisor(cfg, NewOOMKills(path).k)
	if err != nil {
		panic(err)
	}
	return s
}

// Delivery gives lines to Line, as an Output does.
type Delivery struct{ d *delivery }

// NewDelivery makes one.
func NewDelivery(cfg OutputConfig) *Delivery {
	cfg = cfg.withDefaults()
	return &Delivery{d: newDelivery(&cfg, time.Now())}
}

// Add adds a line that has been read now.
func (d *Delivery) Add(line []byte) { d.d.add(line, time.Now()) }

// Finish returns when all has been delivered.
func (d *Delivery) Finish() {
	d.d.end()
	d.d.wait()
}

// Queued tells how much waits.
func (d *Delivery) Queued() (entries, size int) {
	d.d.mu.Lock()
	defer d.d.mu.Unlock()
	return len(d.d.queue) - d.d.head, d.d.bytes
}
