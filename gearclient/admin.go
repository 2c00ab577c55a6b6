package gearclient

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// AdminConfig says how an [Admin] works. The zero value of every field but
// Server is good.
type AdminConfig struct {
	// Server is the job server, host or host:port.
	Server string
	// Dial connects to it; nil means DialTCP.
	Dial DialFunc
	// Timeout is how long the server may send nothing while a reply is due;
	// 0 means DefaultReplyTimeout. A server may be silent for long when it
	// counts long queues.
	Timeout time.Duration
	// MaxReply caps the reply to one command in bytes; 0 means 64 MiB.
	MaxReply int64
}

// defaultMaxReply caps a reply where nothing else is configured: some hundred
// thousand connections in the reply to "workers".
const defaultMaxReply = 64 << 20

// Admin asks and changes a job server over its text protocol. It makes a
// connection with its first command and keeps it; after any error but an
// answer of the server the connection is closed, and the next command makes a
// new one.
//
// Its methods are safe for concurrent use; one command runs at a time, and a
// method blocks until it is its turn and its reply has come, or ctx ends.
//
// Errors of all methods: [*ConnectError], [*ServerError] for a line that begins
// with ERR, [*ReplyError] for a reply that makes no sense, [*LostError] if the
// connection broke, and what is said at the method.
type Admin struct {
	addr string
	cfg  AdminConfig
	turn chan struct{} // holds one token; who has it owns conn
	conn *adminConn
	over bool // with the token: closed for good
}

// NewAdmin checks cfg and makes an Admin. It does not connect.
func NewAdmin(cfg AdminConfig) (*Admin, error) {
	addr, err := NormalizeAddr(cfg.Server)
	if err != nil {
		return nil, err
	}
	if cfg.Dial == nil {
		cfg.Dial = DialTCP
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultReplyTimeout
	}
	if cfg.MaxReply <= 0 {
		cfg.MaxReply = defaultMaxReply
	}
	a := &Admin{addr: addr, cfg: cfg, turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	return a, nil
}

// Server is the address of the job server as host:port.
func (a *Admin) Server() string { return a.addr }

// Close waits for the command that runs, if any, and closes the connection.
// Later commands end with [ErrClosed]. It may be called more than once; the
// error is always nil.
func (a *Admin) Close() error {
	<-a.turn
	a.over = true
	a.drop()
	a.turn <- struct{}{}
	return nil
}

// adminEnd tells how the reply to a command ends.
type adminEnd int

const (
	adminOneLine   adminEnd = iota // after one line
	adminDot                       // after a line that is "."
	adminDotUnsure                 // as adminDot, but a line of the reply may be "." too
)

// run sends one command and gives the lines of its reply, without line ends and
// without the dot, to line, whose first error ends it.
func (a *Admin) run(ctx context.Context, command string, end adminEnd, line func(string) error) error {
	select {
	case <-a.turn:
		defer func() { a.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	}
	err := a.exchange(ctx, command, end, line)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// exchange is run for whoever has the turn.
func (a *Admin) exchange(ctx context.Context, command string, end adminEnd, line func(string) error) error {
	conn, err := a.connect(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.raw.Close() })
	usable, err := conn.exchange(command, end, line)
	if !stop() { // the connection may be closed by now
		usable = false
		if err != nil {
			err = context.Cause(ctx)
		}
	}
	if !usable {
		a.drop()
	}
	return err
}

// connect returns the connection that stands, or makes one.
func (a *Admin) connect(ctx context.Context) (*adminConn, error) {
	if a.over {
		return nil, ErrClosed
	}
	if a.conn != nil {
		return a.conn, nil
	}
	raw, err := a.cfg.Dial(ctx, a.addr)
	if err != nil {
		return nil, dialFailed(ctx, a.addr, err)
	}
	a.conn = newAdminConn(raw, a.addr, a.cfg)
	return a.conn, nil
}

// drop closes the connection, if there is one.
func (a *Admin) drop() {
	if a.conn != nil {
		_ = a.conn.raw.Close()
		a.conn = nil
	}
}

// adminServerError reads a line "ERR CODE text"; some of gearmand's have no
// code, and its texts have plus signs for spaces.
func adminServerError(addr, line string) *ServerError {
	text := strings.TrimSpace(strings.TrimPrefix(line, "ERR"))
	e := &ServerError{Server: addr, Code: "ERR", Text: strings.ReplaceAll(text, "+", " ")}
	code, rest, _ := strings.Cut(text, " ")
	if code != "" && strings.IndexFunc(code, adminNotInCode) < 0 {
		e.Code, e.Text = code, strings.ReplaceAll(rest, "+", " ")
	}
	return e
}

// adminNotInCode finds what is not in a code such as UNKNOWN_COMMAND.
func adminNotInCode(r rune) bool {
	return r != '_' && (r < 'A' || r > 'Z')
}

// adminIsError tells whether a line is an error of the server.
func adminIsError(line string) bool {
	return line == "ERR" || strings.HasPrefix(line, "ERR ")
}
