package gearclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Status is what a server knows of a job.
type Status struct {
	// Server that was asked last.
	Server string
	// Known tells whether the job queues or runs. A job that has ended is not
	// known any more.
	Known bool
	// Running tells whether a worker has the job.
	Running bool
	// Numerator and Denominator are the progress as the worker last told it;
	// both are 0 if it did not.
	Numerator, Denominator uint64
	// Clients is the number of clients that wait for the job. Only
	// Client.UniqueStatus learns it.
	Clients uint64
}

// Status asks for the state of a job by its handle, and blocks for the reply.
// Without a server in the handle, which a text such as "H:host:1" does not
// name, all servers are asked until one knows the job; the first error then
// counts if none does. Errors are those of [Client.Submit].
func (c *Client) Status(ctx context.Context, h Handle) (Status, error) {
	packet, err := wire.Append(nil, wire.Packet{Magic: wire.Request, Type: wire.GetStatus, Args: [][]byte{[]byte(h.Name)}})
	if err != nil {
		return Status{}, fmt.Errorf("ask for status: %w", err)
	}
	servers := c.servers
	if h.Server != "" {
		s, err := c.named(h.Server)
		if err != nil {
			return Status{}, fmt.Errorf("ask for status of %v: %w", h, err)
		}
		servers = []*clientServer{s}
	}
	st, err := c.askStatus(ctx, servers, clientCall{kind: clientStatus, packet: packet, key: h.Name})
	if err != nil {
		return st, fmt.Errorf("ask for status of %v: %w", h, err)
	}
	return st, nil
}

// UniqueStatus asks for the state of a job of any function by its unique key,
// on all servers until one knows it, and blocks for the reply. It is as
// [Client.Status] otherwise.
func (c *Client) UniqueStatus(ctx context.Context, unique string) (Status, error) {
	packet, err := wire.Append(nil, wire.Packet{Magic: wire.Request, Type: wire.GetStatusUnique, Args: [][]byte{[]byte(unique)}})
	if err != nil {
		return Status{}, fmt.Errorf("ask for status: %w", err)
	}
	st, err := c.askStatus(ctx, c.servers, clientCall{kind: clientUniqueStatus, packet: packet, key: unique})
	if err != nil {
		return st, fmt.Errorf("ask for status of unique key %q: %w", unique, err)
	}
	return st, nil
}

// askStatus asks servers one by one until one knows the job.
func (c *Client) askStatus(ctx context.Context, servers []*clientServer, call clientCall) (Status, error) {
	var errs []error
	var last Status
	for _, s := range servers {
		reply, err := c.send(ctx, []*clientServer{s}, func() *clientCall { again := call; return &again })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		last = reply.status
		last.Server = s.addr
		if last.Known {
			return last, nil
		}
	}
	return last, errors.Join(errs...)
}

// Echo sends data to a server and blocks until it has come back: a test that
// the server is one, and answers. server is one of the configured ones, or
// empty for any that can be reached. Errors are those of [Client.Submit].
func (c *Client) Echo(ctx context.Context, server string, data []byte) ([]byte, error) {
	servers := c.order(Request{})
	if server != "" {
		s, err := c.named(server)
		if err != nil {
			return nil, fmt.Errorf("echo: %w", err)
		}
		servers = []*clientServer{s}
	}
	packet, err := wire.Append(nil, wire.Packet{Magic: wire.Request, Type: wire.EchoReq, Args: [][]byte{data}})
	if err != nil {
		return nil, fmt.Errorf("echo: %w", err)
	}
	reply, err := c.send(ctx, servers, func() *clientCall { return &clientCall{kind: clientEcho, packet: packet} })
	if err != nil {
		return nil, fmt.Errorf("echo: %w", err)
	}
	return reply.data, nil
}

// named finds a configured server.
func (c *Client) named(addr string) (*clientServer, error) {
	full, err := NormalizeAddr(addr)
	if err != nil {
		return nil, err
	}
	if s := c.server(full); s != nil {
		return s, nil
	}
	return nil, &AddressError{addr, "is not one of the client's servers"}
}

// clientStatusOf reads STATUS_RES and STATUS_RES_UNIQUE.
func clientStatusOf(p wire.Packet) Status {
	return Status{
		Known:       clientNumber(p.Arg(1)) != 0,
		Running:     clientNumber(p.Arg(2)) != 0,
		Numerator:   clientNumber(p.Arg(3)),
		Denominator: clientNumber(p.Arg(4)),
		Clients:     clientNumber(p.Arg(5)),
	}
}
