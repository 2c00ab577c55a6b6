package control

import (
	"context"
	"net/http"
)

// Release releases suspect jobs and returns how many.
func (c *Client) Release(ctx context.Context, req ReleaseRequest) (int, error) {
	var done Released
	err := c.call(ctx, http.MethodPost, "/v1/quarantine/release", req, &done)
	return done.Released, err
}

// Retry starts workers of a function now that wait.
func (c *Client) Retry(ctx context.Context, function string) error {
	return c.call(ctx, http.MethodPost, "/v1/retry", RetryRequest{Function: function}, &Retried{})
}

// Reload has config and programs looked at, and begins with what has changed. It blocks
// for at most ten minutes. A config with errors is no error but told in the report.
func (c *Client) Reload(ctx context.Context, req ReloadRequest) (report ReloadReport, err error) {
	err = c.callFor(ctx, reloadTimeout, http.MethodPost, "/v1/reload", req, &report)
	return report, err
}

// Restart begins to replace the workers of a function, or of the pool of that name, all
// with an empty name, and returns how many.
func (c *Client) Restart(ctx context.Context, function string) (int, error) {
	var done Restarted
	err := c.call(ctx, http.MethodPost, "/v1/restart", RestartRequest{Function: function, All: function == ""}, &done)
	return done.Workers, err
}

// Scale sets numbers of slots, all or none of them. It does not wait for workers.
func (c *Client) Scale(ctx context.Context, scalings []Scaling) error {
	return c.call(ctx, http.MethodPost, "/v1/scale", ScaleRequest{Scalings: scalings}, &Done{})
}

// Pause has workers take no jobs of a function.
func (c *Client) Pause(ctx context.Context, function string) error {
	return c.call(ctx, http.MethodPost, "/v1/pause", FunctionRequest{Function: function}, &Done{})
}

// Drain has the workers of a function leave. It does not wait for them.
func (c *Client) Drain(ctx context.Context, function string) error {
	return c.call(ctx, http.MethodPost, "/v1/drain", FunctionRequest{Function: function}, &Done{})
}

// Resume ends Pause and Drain.
func (c *Client) Resume(ctx context.Context, function string) error {
	return c.call(ctx, http.MethodPost, "/v1/resume", FunctionRequest{Function: function}, &Done{})
}

// SetLogLevel sets how much is logged, and returns how much is.
func (c *Client) SetLogLevel(ctx context.Context, req LogLevelRequest) (l LogLevels, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/log-level", req, &l)
	return l, err
}

// Stop has the manager stop, and hurry if it does already. It does not wait for the
// end: the events that [Client.Events] follows end then.
func (c *Client) Stop(ctx context.Context) (Stopping, error) {
	var s Stopping
	err := c.call(ctx, http.MethodPost, "/v1/stop", nil, &s)
	return s, err
}
