package manager

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// log gives a line of a worker's code the level that it has there.
func (e WorkerLogged) log(log zerolog.Logger) {
	log.WithLevel(slogLevel(int(e.Log.GetLevel()))).Func(who(e)).Func(func(line *zerolog.Event) {
		text(line, logging.FieldFunction, e.Log.GetFunction())
		text(line, logging.FieldHandle, e.Log.GetHandle())
		attributes := e.Log.GetAttributes()
		for i := 0; i+1 < len(attributes); i += 2 {
			line.Str(foreignKey(attributes[i]), attributes[i+1])
		}
	}).Msg(e.Log.GetMessage())
}

// slogLevel translates a level of log/slog.
func slogLevel(level int) zerolog.Level {
	switch {
	case level < 0:
		return zerolog.DebugLevel
	case level < 4:
		return zerolog.InfoLevel
	case level < 8:
		return zerolog.WarnLevel
	default:
		return zerolog.ErrorLevel
	}
}

// What php says on its standard error is usually wrong with its configuration.
func (e PHPPrinted) log(log zerolog.Logger) {
	level := zerolog.InfoLevel
	if e.Stream == host.Stderr {
		level = zerolog.WarnLevel
	}
	log.WithLevel(level).Str(logging.FieldStream, e.Stream).Str(logging.FieldDetail, e.Line).Msg("php printed")
}

func (e PHPSlow) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Func(func(line *zerolog.Event) { text(line, logging.FieldFile, e.Path) }).Dur(logging.FieldAfter, e.After).Dur(logging.FieldLimit, e.Limit).Msg("worker file takes long to load")
}

// String says it in a sentence.
func (e PHPSlow) String() string {
	what := e.Path
	if what == "" {
		what = e.Worker
	}
	return fmt.Sprintf("%s: it has been loading for %v, and is given up after %v: what does it wait for outside of its function?", what, e.After, e.Limit)
}

// log passes on what a worker printed: a line of JSON with its level and fields,
// any other as it is.
func (e WorkerPrinted) log(log zerolog.Logger) {
	fields := map[string]any{}
	if e.Stream == host.Stderr && strings.HasPrefix(e.Line, "{") && json.Unmarshal([]byte(e.Line), &fields) == nil {
		e.logJSON(log, fields)
		return
	}
	log.WithLevel(e.level()).Func(who(e)).Str(logging.FieldStream, e.Stream).Msg(e.Line)
}

// level gives PHP's own messages the weight that they have there. One that ends the
// start of a worker is no error of its own: StartFailed quotes it.
func (e WorkerPrinted) level() zerolog.Level {
	if e.Stream != host.Stderr {
		return zerolog.InfoLevel
	}
	for _, kind := range []string{"PHP Fatal error: ", "PHP Parse error: ", "PHP Recoverable fatal error: "} {
		switch {
		case !strings.HasPrefix(e.Line, kind):
		case e.Starting:
			return zerolog.InfoLevel
		default:
			return zerolog.ErrorLevel
		}
	}
	if strings.HasPrefix(e.Line, "PHP Warning: ") {
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

func (e WorkerPrinted) logJSON(log zerolog.Logger, fields map[string]any) {
	level := zerolog.InfoLevel
	if name, ok := fields["level"].(string); ok {
		if parsed, err := zerolog.ParseLevel(strings.ToLower(name)); err == nil && parsed <= zerolog.ErrorLevel {
			level = parsed
		}
	}
	message := ""
	for _, key := range []string{"message", "msg"} {
		if text, ok := fields[key].(string); ok && message == "" {
			message = text
			delete(fields, key)
		}
	}
	delete(fields, "level")
	delete(fields, "time")
	log.WithLevel(level).Func(who(e)).Str(logging.FieldStream, e.Stream).Func(func(line *zerolog.Event) {
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			line.Interface(foreignKey(key), fields[key])
		}
	}).Msg(message)
}

// foreignKey keeps a worker's own keys from standing twice in a line.
func foreignKey(key string) string {
	switch key {
	case logging.FieldPool, logging.FieldWorker, logging.FieldPID, logging.FieldStream, logging.FieldFunction, logging.FieldHandle, "component",
		zerolog.LevelFieldName, zerolog.TimestampFieldName, zerolog.MessageFieldName:
		return "worker_" + key
	default:
		return key
	}
}
