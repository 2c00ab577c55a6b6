package control

import "time"

// Status is the fleet at one moment.
type Status struct {
	Manager     Manager     `json:"manager"`
	At          time.Time   `json:"at"`
	Reload      Reload      `json:"reload"`
	Servers     []JobServer `json:"servers"`
	Pools       []Pool      `json:"pools"`
	Suspects    int         `json:"suspects"`    // jobs that are suspect
	Quarantined int         `json:"quarantined"` // jobs that are not run again
}

// StatusQuery says which part of a [Status] is asked for.
type StatusQuery struct {
	// Function leaves only the pools that perform it, and the one of that name. Empty:
	// all.
	Function string
	// Memory asks for RSSBytes of each worker, which takes the manager longer.
	Memory bool
}

// Reload is what is known of changes of config and programs.
type Reload struct {
	At       time.Time `json:"at,omitzero"` // of the last reload that changed something
	Problems []Problem `json:"problems"`    // of config and programs as the disk holds them
	Refused  bool      `json:"refused"`     // the config on disk has errors, and the one before holds
	Polling  string    `json:"polling"`     // why changes are only looked for twice a minute; empty if they are told
}

// Problem is something wrong with the config or a program.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // from 1; 0: the whole file
	Section  string `json:"section"`
	Key      string `json:"key"`
	Severity string `json:"severity"` // "error" or "warning"
	Message  string `json:"message"`
	Flag     string `json:"flag,omitempty"` // of the command line that gave the value
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
	Slots     int      `json:"slots"`    // planned
	Origin    string   `json:"origin"`   // where that number comes from, for people
	Scaled    bool     `json:"scaled"`   // it was set by hand
	Program   string   `json:"program"`  // path; empty for a pool of several
	Version   string   `json:"version"`  // that the program says it has; empty if it says none
	Hash      string   `json:"hash"`     // of the code that new workers run
	Paused    []string `json:"paused"`   // functions that its workers take no jobs of
	Drained   []string `json:"drained"`  // functions whose workers were told to leave by hand
	Outdated  int      `json:"outdated"` // workers that are to be replaced
	Fault     string   `json:"fault"`    // why a change of the pool is not applied; empty: nothing holds one up
	Leaving   bool     `json:"leaving"`  // it is not in the plan any more
	Runs      bool     `json:"runs"`     // false: workers of this kind cannot be run
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
	Version  string    `json:"version"`             // that its program says it has; empty if it says none
	Hash     string    `json:"hash"`                // of its code
	Outdated bool      `json:"outdated"`            // it is to be replaced
	RSSBytes *int64    `json:"rss_bytes"`           // memory of its own; null: not known, or not asked for
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
