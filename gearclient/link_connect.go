package gearclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// echoText is what a new connection asks the server to echo: the answer shows
// that a job server is there and has taken the registration before it.
const echoText = "ready?"

// connecting is what a connecting goroutine needs to know.
type connecting struct {
	link      *link
	number    uint64
	server    string
	clientID  string
	declares  bool // registers functions, which may be none
	functions []string
	delay     time.Duration
}

// connect waits for the delay, connects, registers and sends the slot one
// event with the connection or the error. It ends early, without an event, when
// ctx does.
func (s *slot) connect(ctx context.Context, c connecting) {
	timer := time.NewTimer(c.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	e := linkEvent{link: c.link, number: c.number, declared: c.declares, registered: c.functions}
	e.conn, e.err = s.open(ctx, c)
	if (ctx.Err() != nil || !s.post(e)) && e.conn != nil {
		e.conn.close()
	}
}

// open connects and registers.
func (s *slot) open(ctx context.Context, c connecting) (*workerConn, error) {
	cfg := s.worker.cfg
	nc, err := cfg.Dial(ctx, c.server)
	if err != nil {
		return nil, err
	}
	if s.worker.alone.Load() {
		nc = newKernelConn(nc, s.worker.alone.Load)
	}
	conn := newWorkerConn(c.server, nc, cfg)
	// For as long as it lives: when ctx ends, the slot may wait on it or perform
	// a job of its.
	conn.unwatch = context.AfterFunc(ctx, func() { _ = nc.Close() })
	if err := conn.register(c); err != nil {
		conn.close()
		return nil, err
	}
	return conn, nil
}

// register tells the server who we are and what we perform, and waits until it
// has answered.
func (c *workerConn) register(as connecting) error {
	var out []byte
	if as.clientID != "" {
		out = wire.AppendUnchecked(out, wire.Request, wire.SetClientID, []byte(as.clientID))
	}
	for _, f := range as.functions {
		out = wire.AppendUnchecked(out, wire.Request, wire.CanDo, []byte(f))
	}
	out = wire.AppendUnchecked(out, wire.Request, wire.EchoReq, []byte(echoText))
	if err := c.write(out); err != nil {
		return fmt.Errorf("register with the job server: %w", err)
	}
	for {
		p, err := c.next()
		if err != nil {
			return notGearman(err)
		}
		if p.Type == wire.EchoRes && string(p.Arg(0)) == echoText {
			return nil
		}
		if isAssign(p.Type) {
			return fmt.Errorf("register with the job server: %w", errUnasked)
		}
	}
}

// notGearman adds to an error of the first answer what it probably means.
func notGearman(err error) error {
	if _, ok := errors.AsType[*wire.FormatError](err); ok {
		return fmt.Errorf("what listens there is no Gearman job server: %w", err)
	}
	if silence, ok := errors.AsType[*SilenceError](err); ok {
		return silence
	}
	return fmt.Errorf("no answer from a Gearman job server: %w", err)
}
