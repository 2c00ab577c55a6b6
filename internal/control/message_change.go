package control

// ReloadRequest says what a reload looks at. New programs are taken, and those that are
// gone left, in any case.
type ReloadRequest struct {
	Config bool `json:"config"` // the config is read again
	Code   bool `json:"code"`   // programs that have changed are taken
	Roll   bool `json:"roll"`   // all workers are replaced, also where nothing has changed
}

// ReloadReport says what a reload has begun.
type ReloadReport struct {
	Changes  []PoolChange `json:"changes"`
	Problems []Problem    `json:"problems"` // of the config and the programs
	Refused  bool         `json:"refused"`  // the config has errors, and the one before holds
}

// PoolChange is what changes in a pool.
type PoolChange struct {
	Pool string   `json:"pool"`
	What []string `json:"what"` // for people
}

// RestartRequest names a function, or a pool, whose workers are to be replaced one by
// one; or asks for all of them.
type RestartRequest struct {
	Function string `json:"function,omitempty"`
	All      bool   `json:"all,omitempty"`
}

// Restarted says how many workers are to be replaced.
type Restarted struct {
	Workers int `json:"workers"`
}

// ScaleRequest sets numbers of slots: all of them, or none if one cannot be set.
type ScaleRequest struct {
	Scalings []Scaling `json:"scalings"`
}

// Scaling is the number of slots of a function's own pool, or of the shared pool of
// that name.
type Scaling struct {
	Function string `json:"function"`
	Slots    int    `json:"slots"` // 0: its workers leave
}

// FunctionRequest names a function that is to be paused, drained or resumed.
type FunctionRequest struct {
	Function string `json:"function"`
}

// LogLevelRequest sets how much is logged.
type LogLevelRequest struct {
	Function string `json:"function,omitempty"` // or a pool; empty: the fleet
	// Verbosity is 0 to 5, as many as -v are given. -1 takes away what was set for the
	// function; for the fleet it means what it was started with.
	Verbosity int `json:"verbosity"`
}

// LogLevels says how much is logged.
type LogLevels struct {
	Verbosity int             `json:"verbosity"` // of the fleet, 0 to 5
	Functions []FunctionLevel `json:"functions"` // that have their own, by name
}

// FunctionLevel is how much is logged of a function or pool.
type FunctionLevel struct {
	Function  string `json:"function"`
	Verbosity int    `json:"verbosity"`
}

// Stopping answers a request to stop.
type Stopping struct {
	Hurry int `json:"hurry"` // how often it was told to hurry since it stops
}

// Done answers a request about which there is nothing to say.
type Done struct{}
