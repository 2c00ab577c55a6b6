package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// requestError is the error of a request that makes no sense.
type requestError struct{ problem string }

func (e *requestError) Error() string { return e.problem }

// errDenied is the answer to other users.
var errDenied = errors.New("permission denied")

// handler is the table of what can be asked.
func (s *Server) handler() http.Handler {
	fleet := s.cfg.Fleet
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/manager", s.answer(func(*http.Request) (any, error) { return fleet.Manager(), nil }))
	mux.HandleFunc("GET /v1/status", s.answer(s.status))
	mux.HandleFunc("GET /v1/why", s.answer(s.why))
	mux.HandleFunc("GET /v1/log-level", s.answer(func(*http.Request) (any, error) { return fleet.LogLevels(), nil }))
	mux.HandleFunc("GET /v1/quarantine", s.answer(func(*http.Request) (any, error) {
		return Quarantine{Jobs: append([]SuspectJob{}, fleet.Quarantine()...)}, nil
	}))
	mux.HandleFunc("GET /v1/events", s.streaming(s.events))
	mux.HandleFunc("GET /v1/logs", s.streaming(s.logs))
	for path, c := range map[string]change{
		"/v1/quarantine/release": s.release,
		"/v1/retry":              s.retry,
		"/v1/reload":             s.reload,
		"/v1/restart":            s.restart,
		"/v1/scale":              s.scale,
		"/v1/pause":              onFunction("pause", fleet.Pause),
		"/v1/drain":              onFunction("drain", fleet.Drain),
		"/v1/resume":             onFunction("resume", fleet.Resume),
		"/v1/log-level":          s.setLogLevel,
		"/v1/stop":               s.stop,
	} {
		mux.HandleFunc("POST "+path, s.changing(c))
	}
	mux.HandleFunc("/", s.answer(func(r *http.Request) (any, error) {
		return nil, &NotFoundError{Err: fmt.Errorf("this manager knows no %s %.100q", r.Method, r.URL.Path)}
	}))
	return s.guard(mux)
}

// guard answers nobody but those who may ask.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin(r.Context(), asking)
		defer begin(r.Context(), answering) // what is left of the answer is written after this
		s.requests.RLock()
		defer s.requests.RUnlock()
		if s.closed {
			return // the connection is closed, and the fleet gone
		}
		if r.Method == http.MethodGet && abandoned(r.Context()) {
			panic(http.ErrAbortHandler) // whoever has asked has gone; it closes the connection
		}
		if crowded(r.Context()) {
			w.Header().Set("Connection", "close")
		}
		if !s.access.allows(peerFrom(r.Context())) {
			s.deny(r)
			w.Header().Set("Connection", "close")
			write(w, http.StatusForbidden, Failure{Error: errDenied.Error()})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// deny tells of a peer that may not ask, though not of each of its many requests.
func (s *Server) deny(r *http.Request) {
	s.denied.Lock()
	said := time.Since(s.deniedAt) < denialEvery
	if !said {
		s.deniedAt = time.Now()
	}
	s.denied.Unlock()
	if !said {
		s.changed(r, "", errDenied)
	}
}

// question answers a request with a value that can be encoded, or an error.
type question func(*http.Request) (any, error)

// answer writes what a question returns. That may take as long as it does.
func (s *Server) answer(q question) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		// The time limits of the server are those of a peer, not of the fleet. A
		// recorder of a test has none.
		_ = controller.SetWriteDeadline(time.Time{})
		if r.ContentLength == 0 { // it would end the request
			_ = controller.SetReadDeadline(time.Time{})
		}
		result, err := q(r)
		begin(r.Context(), answering)
		_ = controller.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err != nil {
			if _, senseless := errors.AsType[*requestError](err); senseless && r.ContentLength != 0 { // the rest of it is not waited for
				w.Header().Set("Connection", "close")
				_ = controller.SetReadDeadline(time.Now())
			}
			write(w, statusOf(err), Failure{Error: err.Error()})
			return
		}
		write(w, http.StatusOK, result)
	}
}

func (s *Server) status(r *http.Request) (any, error) {
	v, err := parameters(r, "function", "rss")
	if err != nil {
		return nil, err
	}
	memory, err := v.flag("rss")
	if err != nil {
		return nil, err
	}
	return s.cfg.Fleet.Status(StatusQuery{Function: v["function"], Memory: memory})
}

func (s *Server) why(r *http.Request) (any, error) {
	v, err := parameters(r, "function")
	switch {
	case err != nil:
		return nil, err
	case v["function"] == "":
		return nil, &requestError{"no function is named: want function"}
	}
	return s.cfg.Fleet.Why(r.Context(), v["function"])
}

// values are the parameters of a request.
type values map[string]string

// parameters reads those behind the path. One that is not known, or is there twice, is
// an error: what is asked for would not be what is answered.
func parameters(r *http.Request, known ...string) (values, error) {
	v := values{}
	for _, key := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !slices.Contains(known, key) {
			return nil, &requestError{fmt.Sprintf("there is no parameter %.100q", key)}
		}
		all := r.URL.Query()[key]
		if len(all) > 1 {
			return nil, &requestError{key + " is there twice"}
		}
		v[key] = all[0]
	}
	return v, nil
}

func (v values) flag(key string) (bool, error) {
	switch v[key] {
	case "", "0":
		return false, nil
	case "1":
		return true, nil
	default:
		return false, &requestError{fmt.Sprintf("%s is %.100q, want 0 or 1", key, v[key])}
	}
}

// number is a parameter that counts; ok is false if it is not there.
func (v values) number(key string) (n uint64, ok bool, err error) {
	if v[key] == "" {
		return 0, false, nil
	}
	n, err = strconv.ParseUint(v[key], 10, 63)
	if err != nil {
		return 0, false, &requestError{fmt.Sprintf("%s is %.100q, want a number", key, v[key])}
	}
	return n, true, nil
}

// statusOf is the status code of an error.
func statusOf(err error) int {
	if _, ok := errors.AsType[*requestError](err); ok {
		return http.StatusBadRequest
	}
	if _, ok := errors.AsType[*NotFoundError](err); ok {
		return http.StatusNotFound
	}
	return http.StatusConflict
}

func write(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":"internal error: the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // a peer that has gone needs no answer
}
