package manager

import (
	"context"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// leftoverPoll is how often it is looked whether workers of a dead manager still
// live. They are nobody's children that could be waited for, there are none
// usually, and it ends with them.
const leftoverPoll = time.Second

// leftovers deals with the workers of a manager that died: they have noticed its
// death, take no new job and leave when theirs is done. Those that do not, within
// their grace, are killed. Then its directory is removed. It blocks until that is
// over or ctx ends.
func leftovers(ctx context.Context, dir *runDir, emit func(Event)) {
	entries, _ := readRoster(dir.path) // without a list there is nobody to wait for
	var live []rosterEntry
	for _, e := range entries {
		if lives(e) {
			emit(LeftoverFound{Worker: e.name, PID: e.pid, Grace: e.grace})
			live = append(live, e)
		}
	}
	ticker := time.NewTicker(leftoverPoll)
	defer ticker.Stop()
	begun := time.Now()
	for live = waitLeftovers(live, 0, emit); len(live) > 0; live = waitLeftovers(live, time.Since(begun), emit) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			_ = dir.lock.Close() // the next manager goes on with it
			return
		}
	}
	_ = dir.remove() // it is in nobody's way
}

// waitLeftovers returns those that still live, having killed those whose grace is
// over.
func waitLeftovers(entries []rosterEntry, waited time.Duration, emit func(Event)) []rosterEntry {
	var live []rosterEntry
	for _, e := range entries {
		switch {
		case !lives(e):
			emit(LeftoverEnded{Worker: e.name, PID: e.pid})
		case waited < e.grace:
			live = append(live, e)
		default:
			found, err := supervisor.KillLeftover(e.pid, e.start)
			emit(LeftoverEnded{Worker: e.name, PID: e.pid, Killed: found && err == nil, Err: err})
		}
	}
	return live
}

func lives(e rosterEntry) bool {
	start, err := supervisor.StartTimeOf(e.pid)
	return err == nil && start == e.start
}
