package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	callTimeout   = time.Minute
	reloadTimeout = 10 * time.Minute // programs are asked what they perform, and files copied
	maxAnswer     = 256 << 20
)

// Client asks a manager. Its methods may be called from any goroutine; each makes a
// connection of its own, so that there is nothing to close. They block until there is
// an answer, at most for a minute if nothing else is said. Their error is an *[AnswerError] if the manager
// refused, and otherwise that of a manager that could not be reached.
//
// Among many who ask, a client waits for its turn, and asks again if its connection was
// closed before an answer began. What changes something is never asked for twice.
type Client struct {
	path string
	http *http.Client
}

// AnswerError is a request that the manager did not do.
type AnswerError struct {
	Status  int    // of HTTP
	Message string // what it said
}

// Error is what it said.
func (e *AnswerError) Error() string { return e.Message }

// NewClient makes a client for the socket at path. Nothing is connected yet.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) }
	return &Client{path: path, http: &http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}
}

// Path is that of the socket.
func (c *Client) Path() string { return c.path }

// Manager asks who answers.
func (c *Client) Manager(ctx context.Context) (m Manager, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/manager", nil, &m)
	return m, err
}

// Status asks for the fleet.
func (c *Client) Status(ctx context.Context) (Status, error) { return c.StatusOf(ctx, StatusQuery{}) }

// StatusOf asks for a part of the fleet. That nobody knows its function is an
// *[AnswerError] with the status 404.
func (c *Client) StatusOf(ctx context.Context, q StatusQuery) (s Status, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/status"+q.encode(), nil, &s)
	return s, err
}

// Quarantine asks for suspect jobs.
func (c *Client) Quarantine(ctx context.Context) (q Quarantine, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/quarantine", nil, &q)
	return q, err
}

// Why asks what holds a function back. That nobody knows it is an *[AnswerError] with
// the status 404. The manager asks the job servers for it.
func (c *Client) Why(ctx context.Context, function string) (w Why, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/why?"+url.Values{"function": {function}}.Encode(), nil, &w)
	return w, err
}

// LogLevels asks how much is logged.
func (c *Client) LogLevels(ctx context.Context) (l LogLevels, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/log-level", nil, &l)
	return l, err
}

// call sends a request and reads the answer.
func (c *Client) call(ctx context.Context, method, path string, request, result any) error {
	return c.callFor(ctx, callTimeout, method, path, request, result)
}

func (c *Client) callFor(ctx context.Context, patience time.Duration, method, path string, request, result any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := c.send(ctx, method, path, request)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // what it says was read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("ask the manager: %w", err)
	case len(data) > maxAnswer:
		return errors.New("ask the manager: its answer is too long")
	case resp.StatusCode != http.StatusOK:
		return refusal(resp.StatusCode, data)
	}
	if err := json.Unmarshal(data, result); err != nil {
		return fmt.Errorf("ask the manager: read its answer: %w", err)
	}
	return nil
}

// send sends a request, a few times if need be. The caller closes the answer's body.
func (c *Client) send(ctx context.Context, method, path string, request any) (*http.Response, error) {
	var data []byte
	if request != nil {
		var err error
		if data, err = json.Marshal(request); err != nil {
			return nil, fmt.Errorf("ask the manager: %w", err)
		}
	}
	for n := 1; ; n++ {
		resp, cut, err := c.sendOnce(ctx, method, path, data)
		if wrapped, ok := errors.AsType[*url.Error](err); ok { // its URL is of no use to anybody
			err = wrapped.Err
		}
		switch {
		case err == nil:
			return resp, nil
		case n < maxTries && method == http.MethodGet && cut && ctx.Err() == nil:
		default:
			return nil, fmt.Errorf("ask the manager: %w", err)
		}
	}
}

// sendOnce tells also whether there was a connection, and no answer had begun when it
// ended.
func (c *Client) sendOnce(ctx context.Context, method, path string, data []byte) (resp *http.Response, cut bool, err error) {
	var body io.Reader
	if data != nil {
		body = bytes.NewReader(data)
	}
	var connected, begun atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { connected.Store(true) },
		GotFirstResponseByte: func() { begun.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, method, "http://manager"+path, body)
	if err != nil {
		return nil, false, err
	}
	resp, err = c.http.Do(req)
	return resp, err != nil && connected.Load() && !begun.Load(), err
}

// refusal is the error that an answer holds.
func refusal(status int, data []byte) error {
	var f Failure
	if json.Unmarshal(data, &f) != nil || f.Error == "" {
		f.Error = fmt.Sprintf("ask the manager: it answered %d %s", status, http.StatusText(status))
	}
	return &AnswerError{Status: status, Message: f.Error}
}
