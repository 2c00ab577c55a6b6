package control

import (
	"context"
	"io"
	"net"
	"net/http"
)

// AskOnce asks for the fleet's state with one connection.
func AskOnce(ctx context.Context, c *Client) error {
	resp, _, err := c.sendOnce(ctx, http.MethodGet, "/v1/status", nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // it was read
	return err
}

// Abandoned tells whether the peer of a connection has gone.
func Abandoned(c *net.UnixConn) bool { return (&limitedConn{UnixConn: c}).abandoned() }

// Digest returns what tells of changes, and of many of them in few words.
func Digest(tell func(Change)) (add func(Change), end func()) {
	d := newDigest(tell)
	return d.add, d.close
}
