package control

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"
)

// EventsQuery says which events are asked for.
type EventsQuery struct {
	// Since leaves out those up to this number. 0: none.
	Since uint64
	// Last leaves only so many of those that have been; nil: all that are remembered.
	Last *int
	// Function leaves only those that are about it or about the pool of that name, and
	// those that are about none. Empty: all.
	Function string
	// Follow goes on with those that happen, until the manager has stopped.
	Follow bool
}

// Event is something that happened in the fleet, as the log has it.
type Event struct {
	Seq  uint64    `json:"seq"` // counts all events of the manager; there are gaps
	At   time.Time `json:"at"`
	Name string    `json:"name"` // kind of event, which does not change: "worker_exited"
	// What it is about, as far as that applies.
	Pool     string `json:"pool,omitempty"`
	Worker   string `json:"worker,omitempty"`
	PID      int    `json:"pid,omitempty"`
	Function string `json:"function,omitempty"`
	Server   string `json:"server,omitempty"`
	Handle   string `json:"handle,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Level, Message and Fields are those of the line in the log, whether its level is
	// logged or not.
	Level   string                     `json:"level"` // "debug", "info", "warn" or "error"
	Message string                     `json:"message"`
	Fields  map[string]json.RawMessage `json:"fields"`
	// Missed is how many events are left out at this place, because whoever reads was
	// too slow, or they are forgotten. The event has the name "lagged".
	Missed int `json:"missed,omitempty"`
}

// NameLagged is the name of an event, and the stream of a line, that stands for some
// that were missed.
const NameLagged = "lagged"

// LogLine is the event as a line of the log in JSON, with its end.
func (e Event) LogLine() []byte { return logLine(e.At, e.Level, e.Message, e.Fields) }

// LogsQuery says whose lines are asked for.
type LogsQuery struct {
	Function string // or a pool; empty: all
	Worker   string // "pool/number"; empty: all
	// Follow goes on with what they print and log, until the manager has stopped.
	Follow bool
}

// The streams of lines.
const (
	StreamStdout = "stdout"
	StreamStderr = "stderr"
	// StreamLog is what a worker logs over the library for plugins or PHP.
	StreamLog = "log"
)

// LogLine is a line of a worker.
type LogLine struct {
	Seq    uint64    `json:"seq,omitempty"` // of the event; 0: the line is from before the question
	At     time.Time `json:"at,omitzero"`   // not known of lines from before
	Pool   string    `json:"pool"`
	Worker string    `json:"worker"` // empty: the process that PHP workers are forked from
	PID    int       `json:"pid,omitempty"`
	Stream string    `json:"stream,omitempty"` // not known of lines from before
	Text   string    `json:"text"`
	// Level and Fields are those of the line in the log.
	Level  string                     `json:"level,omitempty"`
	Fields map[string]json.RawMessage `json:"fields,omitempty"`
	// Missed is how many events are left out at this place, because whoever reads was
	// too slow. The stream is "lagged". Not all of them need have been lines of these
	// workers.
	Missed int `json:"missed,omitempty"`
}

// LogLine is the line as one of the log in JSON, with its end.
func (l LogLine) LogLine() []byte {
	fields := map[string]json.RawMessage{}
	for key, value := range map[string]string{"pool": l.Pool, "worker": l.Worker, "stream": l.Stream} {
		if value != "" {
			fields[key], _ = json.Marshal(value) // a text can be encoded
		}
	}
	if l.PID > 0 {
		fields["pid"], _ = json.Marshal(l.PID) // a number too
	}
	if l.Missed > 0 {
		fields["missed"], _ = json.Marshal(l.Missed)
	}
	maps.Copy(fields, l.Fields)
	return logLine(l.At, l.Level, l.Text, fields)
}

// logLine puts a line of the log together.
func logLine(at time.Time, level, message string, fields map[string]json.RawMessage) []byte {
	line := map[string]any{}
	for key, value := range fields {
		line[key] = value
	}
	line["message"] = message
	if !at.IsZero() {
		line["time"] = at.Format(time.RFC3339)
	}
	if level != "" {
		line["level"] = level
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(line) // it was decoded from JSON
	return out.Bytes()
}
