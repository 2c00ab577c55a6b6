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
