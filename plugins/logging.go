package plugins

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// logHandler sends what a worker logs to the manager.
type logHandler struct {
	events   *eventQueue
	level    *slog.LevelVar
	function string
	handle   string
	attrs    []string // key and value in turn
	group    string   // prefix of keys
}

// Enabled follows the manager's verbosity.
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle queues one line.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = appendAttr(attrs, h.group, a)
		return true
	})
	h.events.put(&workerpb.Event{Event: &workerpb.Event_Log{Log: &workerpb.Log{
		Level:      int32(r.Level), //nolint:gosec // small
		Message:    text(r.Message),
		Handle:     text(h.handle),
		Function:   text(h.function),
		Attributes: attrs,
	}}})
	return nil
}

// WithAttrs returns a handler whose lines carry attrs.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		next.attrs = appendAttr(next.attrs, h.group, a)
	}
	return &next
}

// WithGroup returns a handler whose further keys begin with name and a dot.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.group += name + "."
	return &next
}

// forJob returns a logger whose lines carry the job.
func (h *logHandler) forJob(function, handle string) *slog.Logger {
	next := *h
	next.function, next.handle = function, handle
	return slog.New(&next)
}

// appendAttr adds an attribute, flattening groups.
func appendAttr(dst []string, prefix string, a slog.Attr) []string {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		if a.Key == "" {
			return dst
		}
		return append(dst, text(prefix+a.Key), text(v.String()))
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, inner := range v.Group() {
		dst = appendAttr(dst, prefix, inner)
	}
	return dst
}

// droppedEvent says that log lines were dropped.
func droppedEvent(n int) *workerpb.Event {
	return &workerpb.Event{Event: &workerpb.Event_Log{Log: &workerpb.Log{
		Level:   int32(slog.LevelWarn),
		Message: fmt.Sprintf("%d log lines were dropped since the manager did not take them", n),
	}}}
}

// level maps the manager's verbosity to what workers log: from -vvvv on, debug
// lines too.
func level(verbosity uint32) slog.Level {
	if verbosity >= 4 {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// logsJobs reports whether each job is to be logged: from -vvv on.
func logsJobs(verbosity uint32) bool { return verbosity >= 3 }
