package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// requestError is the error of a request that makes no sense.
type requestError struct{ problem string }

func (e *requestError) Error() string { return e.problem }

// errDenied is the answer to other users.
var errDenied = errors.New("permission denied: only the user of the manager and root may talk to it")

// handler is the table of what can be asked.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/manager", answer(func(*http.Request) (any, error) { return s.cfg.Fleet.Manager(), nil }))
	mux.HandleFunc("GET /v1/status", answer(func(*http.Request) (any, error) { return s.cfg.Fleet.Status(), nil }))
	mux.HandleFunc("GET /v1/quarantine", answer(func(*http.Request) (any, error) {
		return Quarantine{Jobs: append([]SuspectJob{}, s.cfg.Fleet.Quarantine()...)}, nil
	}))
	mux.HandleFunc("POST /v1/quarantine/release", answer(s.changing(s.release)))
	mux.HandleFunc("POST /v1/retry", answer(s.changing(s.retry)))
	mux.HandleFunc("/", answer(func(r *http.Request) (any, error) {
		return nil, &NotFoundError{Err: fmt.Errorf("this manager knows no %s %.100q", r.Method, r.URL.Path)}
	}))
	return s.guard(mux)
}

// guard answers nobody but the user of the manager and root.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.RLock()
		defer s.requests.RUnlock()
		if s.closed {
			return // the connection is closed, and the fleet gone
		}
		peer := peerFrom(r.Context())
		if peer.UID != 0 && peer.UID != s.uid {
			s.changed(peer, r, errDenied)
			write(w, http.StatusForbidden, Failure{Error: errDenied.Error()})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// question answers a request with a value that can be encoded, or an error.
type question func(*http.Request) (any, error)

func (s *Server) changed(peer Peer, r *http.Request, err error) {
	if s.cfg.OnChange != nil {
		s.cfg.OnChange(peer, r.Method+" "+r.URL.Path, err)
	}
}

// changing tells of a request that changes something.
func (s *Server) changing(q question) question {
	return func(r *http.Request) (any, error) {
		result, err := q(r)
		s.changed(peerFrom(r.Context()), r, err)
		return result, err
	}
}

func (s *Server) release(r *http.Request) (any, error) {
	var req ReleaseRequest
	if err := read(r, &req); err != nil {
		return nil, err
	}
	switch {
	case req.All && (req.Handle != "" || req.Server != ""):
		return nil, &requestError{"all jobs and one of them exclude each other"}
	case req.All:
		return Released{Released: s.cfg.Fleet.ReleaseAll(r.Context())}, nil
	case req.Handle == "":
		return nil, &requestError{`no job is named: want "handle" or "all"`}
	}
	n, err := s.cfg.Fleet.Release(r.Context(), req.Server, req.Handle)
	return Released{Released: n}, err
}

func (s *Server) retry(r *http.Request) (any, error) {
	var req RetryRequest
	if err := read(r, &req); err != nil {
		return nil, err
	}
	if req.Function == "" {
		return nil, &requestError{`no function is named: want "function"`}
	}
	return Retried{}, s.cfg.Fleet.Retry(req.Function)
}

// read reads a request's body, which is one object.
func read(r *http.Request, into any) error {
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return &requestError{"read request: " + err.Error()}
	}
	if in.More() {
		return &requestError{"read request: there is more behind the object"}
	}
	return nil
}

// answer writes what a question returns.
func answer(q question) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		result, err := q(r)
		if err != nil {
			write(w, statusOf(err), Failure{Error: err.Error()})
			return
		}
		write(w, http.StatusOK, result)
	}
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
