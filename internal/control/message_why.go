package control

import "time"

// Why is what holds a function back.
type Why struct {
	Function string    `json:"function"`
	At       time.Time `json:"at"`
	Pools    []string  `json:"pools"`   // that perform it
	Reasons  []Reason  `json:"reasons"` // the most important first; none: nothing holds it back
	Queued   *int      `json:"queued"`  // jobs that wait in all servers; null: no server has said
	Running  *int      `json:"running"` // jobs that workers have, those of other machines too
	Servers  []Queue   `json:"servers"` // in the order of the config
}

// Reason is one thing that holds a function back.
type Reason struct {
	Code    string `json:"code"`    // does not change: "paused"
	Message string `json:"message"` // a sentence for people
	Blocks  bool   `json:"blocks"`  // none of its jobs is taken because of it
}

// Queue is what a job server says of a function.
type Queue struct {
	Server  string `json:"server"`
	Queued  *int   `json:"queued"` // null: it did not say
	Running *int   `json:"running"`
	Workers *int   `json:"workers"` // connections that offer it, those of other machines too
	Error   string `json:"error,omitempty"`
}
