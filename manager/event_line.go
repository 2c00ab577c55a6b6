package manager

import (
	"bytes"
	"encoding/json"

	"github.com/rs/zerolog"
)

// LogLine is an event as the log has it.
type LogLine struct {
	Level   string // "debug", "info", "warn" or "error"; empty if the event is never logged
	Message string
	Fields  map[string]json.RawMessage // all others, without the time
}

// LineOf returns the line of an event in the log, whether its level is logged or not. It
// does not block.
func LineOf(e Event) LogLine {
	var out bytes.Buffer
	e.log(zerolog.New(&out).Level(zerolog.TraceLevel))
	line := LogLine{Fields: map[string]json.RawMessage{}}
	if json.Unmarshal(out.Bytes(), &line.Fields) != nil {
		return LogLine{Message: e.Name(), Fields: map[string]json.RawMessage{}}
	}
	line.Level, line.Message = line.take(zerolog.LevelFieldName), line.take(zerolog.MessageFieldName)
	return line
}

// take takes a text out of the fields.
func (l LogLine) take(key string) (text string) {
	_ = json.Unmarshal(l.Fields[key], &text) // it was written as a text
	delete(l.Fields, key)
	return text
}
