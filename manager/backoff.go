package manager

import "time"

const (
	// backoffFirst and backoffMost bound the wait after failed starts.
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 30 * time.Second
	// restartSpacing is the least time between two starts for one place: a worker
	// that does a single job and leaves must not make the manager fork in a loop.
	restartSpacing = 100 * time.Millisecond
)

// backoffDelay returns how long to wait after a number of failed starts in a row:
// twice as long each time, of which the random part, 0 ≤ random < 1, decides a
// half.
func backoffDelay(failures int, random float64) time.Duration {
	if failures <= 0 {
		return 0
	}
	full := backoffMost
	if shift := failures - 1; shift < 16 {
		full = min(backoffFirst<<shift, backoffMost)
	}
	return full/2 + time.Duration(random*float64(full)/2)
}

// failedStart tells whether an exit says that starting does not work: the worker
// ended by itself before it was ready, or soon after it and without a job.
// Whatever died with a job in hand is charged to the job.
func failedStart(e exitFacts) bool {
	switch {
	case e.planned || e.killed != notKilled || e.jobs > 0:
		return false
	case !e.ready:
		return true
	default:
		return !e.hadJob && e.uptime < e.least
	}
}

// exitFacts is what failedStart judges.
type exitFacts struct {
	ready   bool          // it had said hello
	planned bool          // it retired or was told to leave
	killed  killReason    // by the manager
	hadJob  bool          // it performed at least one
	jobs    int           // in hand at its end
	uptime  time.Duration // since hello
	least   time.Duration // that it has to live for its start to count as a success
}

// killReason says why the manager killed a worker.
type killReason string

const (
	notKilled        killReason = ""
	killTimeout      killReason = "timeout"      // its job was over its timeout and it did not act
	killGrace        killReason = "grace"        // it was told to leave and the grace was over
	killUnresponsive killReason = "unresponsive" // it did not answer a call, or was stopped
	killMemory       killReason = "memory"       // it has more memory than it may
	killStop         killReason = "stop"         // the manager was told to hurry
)
