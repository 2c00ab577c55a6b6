package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// MaxConns is how many connections there are at a time of those who may ask. When there
// are more, they wait, at most until those that ask nothing are closed.
const MaxConns = 64

// MaxStreams is how many of them may follow events and lines.
const MaxStreams = 32

// maxStrangers is how many connections there are of those who may not ask.
const maxStrangers = 8

// Bounds for what a peer may do.
const (
	readTimeout  = 2 * time.Second  // for a whole request
	writeTimeout = 30 * time.Second // from when there is an answer
	lineTimeout  = 5 * time.Minute  // for a line of a stream; people stop their terminals
	idleTimeout  = 10 * time.Second
	maxHeader    = 8 << 10
	maxBody      = 64 << 10
	closeWait    = time.Second           // for answers that are being written
	denialEvery  = 10 * time.Second      // how often it is told that somebody may not ask
	maxQueue     = 128                   // connections that wait to be taken; the shorter, the sooner it is one's turn
	patience     = 30 * time.Millisecond // for a request, while others wait
	longPatience = time.Second           // for an answer to be read, while others wait
	roomPoll     = 2 * time.Millisecond
)

// Change is a request that changes something, or of somebody who may not ask.
type Change struct {
	Peer    Peer
	Request string // method and path
	What    string // for people; empty if it was not understood
	Err     error  // nil if it was done
}

// Config says what a server answers.
type Config struct {
	// Path is where the socket is made, with mode 0660. A socket at which nobody answers
	// is replaced. The directory is made if its own is there.
	Path string
	// Owner and Group are given the socket, names or numbers, and may ask. If they are
	// empty it stays with the user and group of this process.
	Owner, Group string
	// Fleet answers. Required.
	Fleet Fleet
	// OnChange is called for each request that changes something when it is done. Of those
	// that were not done, and of those of somebody who may not ask, only some are told when
	// there are many: after the first ones, the last of each second, whose What says how
	// many there were. It must return soon, and may be called from many goroutines. May be
	// nil.
	OnChange func(Change)
}

// Server answers requests to the control socket.
type Server struct {
	cfg      Config
	http     *http.Server
	listener *limitListener
	socket   *socket
	access   access
	streams  chan struct{} // has an element for each stream
	end      context.CancelFunc
	serving  sync.WaitGroup

	requests sync.RWMutex // held for reading by each request
	closed   bool         // guarded by it

	denied   sync.Mutex
	deniedAt time.Time // guarded by it

	refused, failed *digest // changes that made no sense, or could not be made
}

// Open makes the socket and answers until Close. It does not block. The error is a
// *[SocketError].
func Open(ctx context.Context, cfg Config) (*Server, error) {
	owner, err := findOwnership(cfg.Owner, cfg.Group)
	if err != nil {
		return nil, &SocketError{Path: cfg.Path, Problem: err.Error(), Err: err}
	}
	made, err := listen(ctx, cfg.Path, owner)
	if err != nil {
		return nil, err
	}
	s := newServer(cfg, access{users: []int{os.Geteuid(), owner.uid}, group: owner.gid})
	s.socket = made
	s.listener = newLimitListener(made.UnixListener, s.access, MaxConns, maxStrangers)
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	s.end = end
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // what garbage peers send is nobody's business
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       connContext,
	}
	s.serving.Go(func() { _ = s.http.Serve(s.listener) }) // it ends with Close
	return s, nil
}

func newServer(cfg Config, a access) *Server {
	return &Server{
		cfg: cfg, access: a, streams: make(chan struct{}, MaxStreams),
		refused: newDigest(cfg.OnChange), failed: newDigest(cfg.OnChange),
	}
}

// Path is that of the socket.
func (s *Server) Path() string { return s.cfg.Path }

// Close removes the socket, ends streams, lets answers that are being written end for a
// second, and then closes all connections. It blocks until the last request is over,
// which is as long as the fleet takes, whether ctx has ended or not. It is called once.
func (s *Server) Close(ctx context.Context) error {
	removed := s.socket.remove()
	s.end()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWait)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // somebody holds a connection open
		err = s.http.Close()
	}
	s.listener.closeAll()
	s.serving.Wait()
	s.requests.Lock()
	s.closed = true
	s.requests.Unlock()
	s.refused.close()
	s.failed.close()
	if err = errors.Join(removed, err); err != nil {
		return fmt.Errorf("close control socket: %w", err)
	}
	return nil
}
