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

// MaxConns is how many connections there are at a time; more wait to be accepted.
const MaxConns = 64

// Bounds for what a peer may do.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second // from the end of the request: workers may have to be asked
	idleTimeout  = 10 * time.Second
	maxHeader    = 8 << 10
	maxBody      = 64 << 10
	closeWait    = time.Second // for answers that are being written
)

// Fleet is what requests are made of. Its methods are called from many goroutines.
type Fleet interface {
	// Manager says who it is.
	Manager() Manager
	// Status describes the fleet.
	Status() Status
	// Quarantine lists suspect jobs.
	Quarantine() []SuspectJob
	// Release releases the jobs of that handle, an empty server means any, and returns
	// how many there were. A *[NotFoundError] says that there was none.
	Release(ctx context.Context, server, handle string) (int, error)
	// ReleaseAll releases all jobs.
	ReleaseAll(ctx context.Context) int
	// Retry starts the workers of a function now that wait because starts failed. A
	// *[NotFoundError] says that nobody performs it.
	Retry(function string) error
}

// NotFoundError says that what a request is about does not exist.
type NotFoundError struct{ Err error }

// Error is that of Err.
func (e *NotFoundError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *NotFoundError) Unwrap() error { return e.Err }

// Peer is who asks, as the kernel says.
type Peer struct {
	PID int
	UID int
}

// Config says what a server answers.
type Config struct {
	// Path is where the socket is made. Nothing may be there. Only the user of this
	// process can enter the directory.
	Path string
	// Fleet answers. Required.
	Fleet Fleet
	// OnChange is called for each request that changes something or was refused, when
	// it is done; err is nil if it worked. It must return soon. May be nil.
	OnChange func(peer Peer, request string, err error)
}

// Server answers requests to the control socket.
type Server struct {
	cfg      Config
	http     *http.Server
	listener *limitListener
	uid      int
	serving  sync.WaitGroup

	requests sync.RWMutex // held for reading by each request
	closed   bool         // guarded by it
}

// Open makes the socket and answers until Close. It does not block.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	listener, err := listen(ctx, cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open control socket %s: %w", cfg.Path, err)
	}
	s := &Server{cfg: cfg, listener: newLimitListener(listener, MaxConns), uid: os.Geteuid()}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // what garbage peers send is nobody's business
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerOf(c))
		},
	}
	s.serving.Go(func() { _ = s.http.Serve(s.listener) }) // it ends with Close
	return s, nil
}

func listen(ctx context.Context, path string) (*net.UnixListener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errors.New("internal error: not a unix socket"), l.Close())
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return listener, nil
}

// Close removes the socket, lets answers that are being written end for a second, and
// then closes all connections. It blocks until the last request is over, which is as
// long as the fleet takes, whether ctx has ended or not. It is called once.
func (s *Server) Close(ctx context.Context) error {
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
	if err != nil {
		return fmt.Errorf("close control socket: %w", err)
	}
	return nil
}
