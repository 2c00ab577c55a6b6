package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// errTooMany is the answer where too many read already.
var errTooMany = errors.New("too many follow events and logs already; try again when one of them has ended")

// lines writes objects, one on each line, as an answer.
type lines struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	begun      bool
}

// send writes a line and has it arrive. It fails when whoever reads does not for too
// long.
func (l *lines) send(value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("internal error: a line cannot be encoded: %w", err)
	}
	if err := l.begin(); err != nil {
		return err
	}
	if _, err := l.w.Write(append(data, '\n')); err != nil {
		return err
	}
	return l.flush()
}

// begin writes the head of the answer.
func (l *lines) begin() error {
	if err := l.controller.SetWriteDeadline(time.Now().Add(lineTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.WriteHeader(http.StatusOK)
	}
	return nil
}

func (l *lines) flush() error {
	if err := l.controller.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// streaming answers with lines, until there are no more or the server is closed. Only so
// many peers are answered that way at a time.
func (s *Server) streaming(each func(context.Context, values, *lines) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.streams <- struct{}{}:
			defer func() { <-s.streams }()
		default:
			write(w, http.StatusServiceUnavailable, Failure{Error: errTooMany.Error()})
			return
		}
		l := &lines{w: w, controller: http.NewResponseController(w)}
		_ = l.controller.SetReadDeadline(time.Time{}) // it would end the request
		v, err := parameters(r, "function", "follow", "worker", "since", "last")
		if err == nil {
			err = each(r.Context(), v, l)
		}
		switch {
		case err == nil && l.begin() == nil:
			_ = l.flush() // a peer that has gone needs no answer
		case !l.begun:
			write(w, statusOf(err), Failure{Error: err.Error()})
		default:
			panic(http.ErrAbortHandler) // whoever reads sees that something is missing
		}
	}
}

func (s *Server) events(ctx context.Context, v values, l *lines) error {
	q := EventsQuery{Function: v["function"]}
	var last uint64
	var counted bool
	var err error
	if q.Follow, err = v.flag("follow"); err != nil {
		return err
	}
	if q.Since, _, err = v.number("since"); err != nil {
		return err
	}
	if last, counted, err = v.number("last"); err != nil {
		return err
	}
	if v["worker"] != "" {
		return &requestError{"events are not asked for by worker"}
	}
	if counted {
		q.Last = new(int(last)) //nolint:gosec // it has 63 bits at most
	}
	return s.cfg.Fleet.Events(ctx, q, func(e Event) error { return l.send(e) })
}

func (s *Server) logs(ctx context.Context, v values, l *lines) error {
	follow, err := v.flag("follow")
	if err != nil {
		return err
	}
	if v["since"] != "" || v["last"] != "" {
		return &requestError{"lines have no numbers to ask for"}
	}
	q := LogsQuery{Function: v["function"], Worker: v["worker"], Follow: follow}
	return s.cfg.Fleet.Logs(ctx, q, func(line LogLine) error { return l.send(line) })
}
