package gearclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// DefaultReplyTimeout is how long a server may stay silent while a reply is
// due, where nothing else is configured.
const DefaultReplyTimeout = 10 * time.Second

// ClientConfig says how a [Client] works. The zero value of every field but
// Servers is good.
type ClientConfig struct {
	// Servers are the job servers, host or host:port. At least one is needed.
	Servers []string
	// Dial connects to a server; nil means DialTCP.
	Dial DialFunc
	// MaxData caps a workload and a result, in bytes; 0 means
	// wire.DefaultMaxData.
	MaxData int64
	// ReplyTimeout is how long a server may send nothing at all while a reply
	// is due, or within a packet, and how long it may not take what is sent.
	// After it the connection is closed. 0 means DefaultReplyTimeout. How long
	// a job may take is not limited by it, but by contexts.
	ReplyTimeout time.Duration
	// NoExceptions leaves out the request for exceptions, which otherwise is
	// sent on every connect: then an exception of a worker arrives as a
	// FailError without its text.
	NoExceptions bool
}

// Client submits jobs and asks for their state. It holds at most one connection
// to each server, made when it is first needed, and carries any number of jobs
// over it at the same time. All its methods are safe for concurrent use. Close
// it to end its connections and goroutines.
type Client struct {
	servers []*clientServer
	closed  chan struct{}
	once    sync.Once
	wg      sync.WaitGroup // goroutines of all connections
}

// NewClient checks cfg and makes a Client. It does not connect and does not
// block.
func NewClient(cfg ClientConfig) (*Client, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("gearclient: a client needs at least one server")
	}
	if cfg.Dial == nil {
		cfg.Dial = DialTCP
	}
	if cfg.MaxData <= 0 {
		cfg.MaxData = wire.DefaultMaxData
	}
	if cfg.ReplyTimeout <= 0 {
		cfg.ReplyTimeout = DefaultReplyTimeout
	}
	c := &Client{closed: make(chan struct{})}
	for _, s := range cfg.Servers {
		addr, err := NormalizeAddr(s)
		if err != nil {
			return nil, err
		}
		if c.server(addr) == nil {
			c.servers = append(c.servers, &clientServer{addr: addr, cfg: cfg, client: c})
		}
	}
	return c, nil
}

// Close closes all connections and waits until nothing of the Client runs any
// more. Whatever waits on it ends with an error that wraps [ErrClosed]; jobs
// that run are not stopped, and gearmand drops foreground jobs that still
// queue. It is safe to call it more than once. The error is always nil.
func (c *Client) Close() error {
	c.once.Do(func() {
		close(c.closed)
		for _, s := range c.servers {
			s.close()
		}
	})
	c.wg.Wait()
	return nil
}

// Servers lists the job servers as host:port, in the order of the configuration
// and without repetitions.
func (c *Client) Servers() []string {
	addrs := make([]string, len(c.servers))
	for i, s := range c.servers {
		addrs[i] = s.addr
	}
	return addrs
}

// server finds the server with a normalized address, or nil.
func (c *Client) server(addr string) *clientServer {
	i := slices.IndexFunc(c.servers, func(s *clientServer) bool { return s.addr == addr })
	if i < 0 {
		return nil
	}
	return c.servers[i]
}

// Do submits a foreground job and blocks until it has ended or ctx ends. It
// returns the data of the job's WORK_COMPLETE. Updates go to req.OnUpdate, on
// the caller's goroutine and in order; without it they are dropped.
//
// When ctx ends first, the job is abandoned: it may still be queued or run, but
// nobody hears of it. Errors are those of [Client.Submit] and [Task.Wait].
func (c *Client) Do(ctx context.Context, req Request) ([]byte, error) {
	req.DiscardUpdates = req.DiscardUpdates || req.OnUpdate == nil
	task, err := c.Submit(ctx, req)
	if err != nil {
		return nil, err
	}
	for u := range task.Updates(ctx) {
		req.OnUpdate(u)
	}
	data, err := task.Wait(ctx)
	if err != nil {
		task.Abandon()
	}
	return data, err
}

// Submit submits a foreground job and blocks until a server has accepted it.
//
// Servers are tried in turn, and a server that could not be reached a moment
// ago comes last. A request with a unique key begins with a server that the key
// selects, so that jobs with the same key meet on the same server whatever the
// order in which their clients list the servers; others begin with a random
// one. The next server is only tried while nothing was sent.
//
// Errors: [*RequestError] if the request cannot be sent to any server,
// [*ServerError] if the server refused it, [*ConnectError] if no server could
// be reached, [*LostError] if the connection broke before the answer, or ctx's
// error. See [SafeToRetry].
func (c *Client) Submit(ctx context.Context, req Request) (*Task, error) {
	packet, err := req.encode(false, c.maxData())
	if err != nil {
		return nil, err
	}
	task := newTask(req)
	_, err = c.send(ctx, c.order(req), func() *clientCall {
		return &clientCall{kind: clientSubmit, packet: packet, task: task}
	})
	if err != nil {
		return nil, fmt.Errorf("submit job %q: %w", req.Function, err)
	}
	return task, nil
}

// Background submits a job that runs without anybody listening, at
// req.RunAt if that is set. It blocks until a server has accepted the job.
// Servers and errors are as for [Client.Submit].
func (c *Client) Background(ctx context.Context, req Request) (Handle, error) {
	packet, err := req.encode(true, c.maxData())
	if err != nil {
		return Handle{}, err
	}
	reply, err := c.send(ctx, c.order(req), func() *clientCall {
		return &clientCall{kind: clientSubmit, packet: packet}
	})
	if err != nil {
		return Handle{}, fmt.Errorf("submit background job %q: %w", req.Function, err)
	}
	return reply.handle, nil
}

func (c *Client) maxData() int64 { return c.servers[0].cfg.MaxData }

// send gives a call to the first of the servers that can be reached, and waits
// for the reply.
func (c *Client) send(ctx context.Context, servers []*clientServer, newCall func() *clientCall) (clientReply, error) {
	var errs []error
	for _, s := range servers {
		call := newCall()
		call.reply = make(chan clientReply, 1)
		reply, sent, err := s.call(ctx, call)
		if err == nil {
			return reply, nil
		}
		if sent || ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return clientReply{}, err
		}
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return clientReply{}, errs[0]
	}
	return clientReply{}, &UnreachableError{Errs: errs}
}
