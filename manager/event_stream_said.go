package manager

import "google.golang.org/protobuf/proto"

const (
	// saidLast is how many lines of its log are remembered of a worker.
	saidLast = 20
	// saidWorkers is of how many workers.
	saidWorkers = 5000
	// saidLength is how long a line may be to be remembered whole.
	saidLength = 4 << 10
)

// saidLines are the last lines that workers have logged, by worker: also of those that
// have ended, until their successors have logged as many.
type saidLines map[string]*ring

// add remembers a line.
func (l saidLines) add(at Stamped, e WorkerLogged) {
	lines := l[e.Worker]
	if lines == nil {
		if len(l) >= saidWorkers {
			return
		}
		lines = &ring{most: saidLast}
		l[e.Worker] = lines
	}
	if proto.Size(e.Log) > saidLength {
		short := proto.CloneOf(e.Log)
		short.Attributes = nil
		short.Message = short.GetMessage()[:min(len(short.GetMessage()), saidLength)]
		e.Log = short
		at.Event = e
	}
	lines.push(at)
}

// PastLogs returns the last lines that the workers of that name have logged, oldest
// first; what they printed is not among them, see LastLines. It does not block, and works
// after the manager has stopped too.
func (m *Manager) PastLogs(worker string) []Stamped {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	lines := m.events.said[worker]
	if lines == nil {
		return nil
	}
	return lines.after(0)
}
