package control

import "time"

// Manager says which manager answers.
type Manager struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Config  string    `json:"config"` // absolute path of its config file; empty: none
	Dir     string    `json:"dir"`    // its runtime directory
	Started time.Time `json:"started"`
}

// Status is the fleet at one moment.
type Status struct {
	Manager     Manager     `json:"manager"`
	At          time.Time   `json:"at"`
	Servers     []JobServer `json:"servers"`
	Pools       []Pool      `json:"pools"`
	Suspects    int         `json:"suspects"`    // jobs that are suspect
	Quarantined int         `json:"quarantined"` // jobs that are not run again
}

// JobServer is a job server as the fleet sees it.
type JobServer struct {
	Address string    `json:"address"`
	Slots   int       `json:"slots"`         // that are registered with it
	Lost    time.Time `json:"lost,omitzero"` // since when no slot reaches it
	Error   string    `json:"error,omitempty"`
}

// Pool is the workers that are alike.
type Pool struct {
	Name      string   `json:"name"`
	Shared    bool     `json:"shared"`
	Kind      string   `json:"kind"`
	Functions []string `json:"functions"`
	Slots     int      `json:"slots"` // planned
	Runs      bool     `json:"runs"`  // false: workers of this kind cannot be run
	// JobsUnknown is true of workers that take their jobs by themselves: the counts, which
	// are null then, and the jobs below are not known of them.
	JobsUnknown bool      `json:"jobs_unknown"`
	Done        *uint64   `json:"done"` // jobs of all its workers, failed ones included
	Failed      *uint64   `json:"failed"`
	Failures    int       `json:"failures"` // starts that failed in a row
	NextTry     time.Time `json:"next_try,omitzero"`
	GivenUp     bool      `json:"given_up"` // it is not tried again by itself
	Workers     []Worker  `json:"workers"`
}

// Worker is a worker, or a place that waits for one.
type Worker struct {
	Name     string    `json:"name"` // pool/number
	PID      int       `json:"pid"`  // 0: there is no process
	State    string    `json:"state"`
	Slots    int       `json:"slots"`
	Ready    int       `json:"ready"`   // slots that are registered with a server
	Servers  int       `json:"servers"` // servers that at least one slot is registered with
	Since    time.Time `json:"since,omitzero"`
	Stopped  bool      `json:"stopped"` // a signal has stopped it
	Done     *uint64   `json:"done"`    // jobs of this process, failed ones included; null: not known
	Failed   *uint64   `json:"failed"`
	Restarts int       `json:"restarts"`
	LastExit string    `json:"last_exit,omitempty"` // how the one before ended
	Retires  string    `json:"retires,omitempty"`   // why it leaves, if it does
	Jobs     []Job     `json:"jobs"`                // in hand
}

// Job is a job that a slot performs.
type Job struct {
	Function string `json:"function"`
	Server   string `json:"server"`
	Handle   string `json:"handle"`
	Slot     int    `json:"slot"`   // in its pool, from 1
	ForMS    int64  `json:"for_ms"` // for how long
}

// Quarantine is the jobs that are suspect or not run again, the one charged longest
// ago first.
type Quarantine struct {
	Jobs []SuspectJob `json:"jobs"`
}

// SuspectJob is one of them.
type SuspectJob struct {
	Server      string    `json:"server"`
	Function    string    `json:"function"`
	Handle      string    `json:"handle"`
	Unique      string    `json:"unique"`
	Attempts    int       `json:"attempts"`
	Quarantined bool      `json:"quarantined"` // it is not run again
	Cause       string    `json:"cause"`
	Worker      string    `json:"worker"` // that had it last
	First       time.Time `json:"first"`  // when it was charged
	Last        time.Time `json:"last"`
}

// ReleaseRequest names the jobs to release: one by its handle, or all.
type ReleaseRequest struct {
	Server string `json:"server,omitempty"` // empty: any
	Handle string `json:"handle,omitempty"`
	All    bool   `json:"all,omitempty"`
}

// Released says how many jobs were.
type Released struct {
	Released int `json:"released"`
}

// RetryRequest names a function whose workers are to be started now.
type RetryRequest struct {
	Function string `json:"function"`
}

// Retried answers it.
type Retried struct{}

// Failure says why a request was not done.
type Failure struct {
	Error string `json:"error"`
}
