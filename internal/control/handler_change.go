package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// change does what a request asks for, and says in words what that is, as far as it
// could be understood.
type change func(*http.Request) (what string, result any, err error)

// changing tells of a request that changes something. Whoever asks may go away, and it
// is done nevertheless.
func (s *Server) changing(c change) http.HandlerFunc {
	return s.answer(func(r *http.Request) (any, error) {
		what, result, err := c(r.WithContext(context.WithoutCancel(r.Context())))
		s.changed(r, what, err)
		return result, err
	})
}

func (s *Server) changed(r *http.Request, what string, err error) {
	c := Change{Peer: peerFrom(r.Context()), Request: r.Method + " " + r.URL.Path, What: what, Err: err}
	switch {
	case s.cfg.OnChange == nil:
	case err == nil, errors.Is(err, errDenied):
		s.cfg.OnChange(c)
	case statusOf(err) == http.StatusConflict:
		s.failed.add(c)
	default:
		s.refused.add(c)
	}
}

func (s *Server) release(r *http.Request) (string, any, error) {
	var req ReleaseRequest
	if err := read(r, &req); err != nil {
		return "", nil, err
	}
	switch {
	case req.All && (req.Handle != "" || req.Server != ""):
		return "", nil, &requestError{"all jobs and one of them exclude each other"}
	case req.All:
		return "release all jobs", Released{Released: s.cfg.Fleet.ReleaseAll(r.Context())}, nil
	case req.Handle == "":
		return "", nil, &requestError{`no job is named: want "handle" or "all"`}
	}
	what := "release job " + req.Handle
	if req.Server != "" {
		what += " of " + req.Server
	}
	n, err := s.cfg.Fleet.Release(r.Context(), req.Server, req.Handle)
	return what, Released{Released: n}, err
}

func (s *Server) retry(r *http.Request) (string, any, error) {
	var req RetryRequest
	if err := read(r, &req); err != nil {
		return "", nil, err
	}
	if req.Function == "" {
		return "", nil, &requestError{`no function is named: want "function"`}
	}
	return "retry " + req.Function, Retried{}, s.cfg.Fleet.Retry(req.Function)
}

func (s *Server) reload(r *http.Request) (string, any, error) {
	var req ReloadRequest
	if err := read(r, &req); err != nil {
		return "", nil, err
	}
	report, err := s.cfg.Fleet.Reload(r.Context(), req)
	return req.what(), report, err
}

func (req ReloadRequest) what() string {
	var parts []string
	if req.Config {
		parts = append(parts, "the config")
	}
	if req.Code {
		parts = append(parts, "programs that have changed")
	}
	if len(parts) == 0 {
		parts = []string{"new programs"}
	}
	what := "reload " + strings.Join(parts, " and ")
	if req.Roll {
		what += ", replace all workers"
	}
	return what
}

func (s *Server) restart(r *http.Request) (string, any, error) {
	var req RestartRequest
	if err := read(r, &req); err != nil {
		return "", nil, err
	}
	what := "replace the workers of " + req.Function
	switch {
	case req.All && req.Function != "":
		return "", nil, &requestError{"all functions and one of them exclude each other"}
	case req.All:
		what = "replace all workers"
	case req.Function == "":
		return "", nil, &requestError{`no function is named: want "function" or "all"`}
	}
	n, err := s.cfg.Fleet.Restart(r.Context(), req.Function)
	return what, Restarted{Workers: n}, err
}

// scaleRequest is a [ScaleRequest] in which a number that is missing is not 0, which
// would have workers leave.
type scaleRequest struct {
	Scalings []struct {
		Function string `json:"function"`
		Slots    *int   `json:"slots"`
	} `json:"scalings"`
}

func (s *Server) scale(r *http.Request) (string, any, error) {
	var req scaleRequest
	if err := read(r, &req); err != nil {
		return "", nil, err
	}
	scalings, err := req.scalings()
	if err != nil {
		return "", nil, err
	}
	var words []string
	for _, sc := range scalings {
		words = append(words, fmt.Sprintf("%s to %d", sc.Function, sc.Slots))
	}
	return "scale " + strings.Join(words, ", "), Done{}, s.cfg.Fleet.Scale(r.Context(), scalings)
}

// scalings checks what is asked for.
func (req scaleRequest) scalings() (out []Scaling, err error) {
	seen := map[string]bool{}
	for _, sc := range req.Scalings {
		switch {
		case sc.Function == "":
			return nil, &requestError{`no function is named: want "function"`}
		case sc.Slots == nil || *sc.Slots < 0:
			return nil, &requestError{fmt.Sprintf(`%s: want "slots" of 0 or more`, sc.Function)}
		case seen[sc.Function]:
			return nil, &requestError{sc.Function + " is named twice"}
		}
		seen[sc.Function] = true
		out = append(out, Scaling{Function: sc.Function, Slots: *sc.Slots})
	}
	if len(out) == 0 {
		return nil, &requestError{`nothing is to be scaled: want "scalings"`}
	}
	return out, nil
}

// onFunction makes a change of what is done with one function.
func onFunction(verb string, do func(context.Context, string) error) change {
	return func(r *http.Request) (string, any, error) {
		var req FunctionRequest
		if err := read(r, &req); err != nil {
			return "", nil, err
		}
		if req.Function == "" {
			return "", nil, &requestError{`no function is named: want "function"`}
		}
		return verb + " " + req.Function, Done{}, do(r.Context(), req.Function)
	}
}

// maxVerbosity is as many as -v mean something.
const maxVerbosity = 5

func (s *Server) setLogLevel(r *http.Request) (string, any, error) {
	var req struct {
		Function  string `json:"function"`
		Verbosity *int   `json:"verbosity"`
	}
	if err := read(r, &req); err != nil {
		return "", nil, err
	}
	if req.Verbosity == nil || *req.Verbosity < -1 || *req.Verbosity > maxVerbosity {
		return "", nil, &requestError{fmt.Sprintf(`want "verbosity" of 0 to %d, or -1 for what it would be`, maxVerbosity)}
	}
	of, to := req.Function, fmt.Sprint(*req.Verbosity)
	if of == "" {
		of = "the fleet"
	}
	if *req.Verbosity < 0 {
		to = "what it would be"
	}
	err := s.cfg.Fleet.SetLogLevel(r.Context(), req.Function, *req.Verbosity)
	return fmt.Sprintf("set log level of %s to %s", of, to), s.cfg.Fleet.LogLevels(), err
}

func (s *Server) stop(r *http.Request) (string, any, error) {
	if err := readNothing(r); err != nil {
		return "", nil, err
	}
	hurry, err := s.cfg.Fleet.Stop()
	return "stop", Stopping{Hurry: hurry}, err
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

// readNothing reads a request's body that is empty, or an object without fields.
func readNothing(r *http.Request) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return &requestError{"read request: " + err.Error()}
	}
	var fields map[string]json.RawMessage
	switch {
	case len(data) == 0:
		return nil
	case json.Unmarshal(data, &fields) != nil || len(fields) > 0:
		return &requestError{"read request: want no body"}
	}
	return nil
}
