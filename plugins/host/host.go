package host

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// Defaults of a Config.
const (
	// DefaultHandshakeTimeout is generous: a Go plugin shakes hands within 10 ms.
	DefaultHandshakeTimeout = 10 * time.Second
	// DefaultInitTimeout leaves room for an Init hook that loads data.
	DefaultInitTimeout = time.Minute
)

// maxDir is the longest runtime directory in bytes. A socket's path is at most
// 107 bytes (sun_path of unix(7), less the NUL), and go-plugin appends
// "/plugin-dir" and "/plugin", each with a number of up to ten digits.
const maxDir = 107 - len("/plugin-dir") - len("/plugin") - 2*10

// Config says how a Host works.
type Config struct {
	// Supervisor starts the processes. It belongs to the caller and has to outlive
	// the workers.
	Supervisor *supervisor.Supervisor
	// Dir is the runtime directory, an absolute path. It has to exist, to belong to
	// this process's user and to be closed to everyone else (mode 0700). The caller
	// removes it.
	Dir string
	// HandshakeTimeout is for how long a program may take from its start to the
	// first answer over gRPC. DefaultHandshakeTimeout if zero.
	HandshakeTimeout time.Duration
	// InitTimeout is for how long a worker may take from there to Hello, which
	// includes its Init hook. DefaultInitTimeout if zero.
	InitTimeout time.Duration
}

// Host starts workers. Its methods may be called from any goroutine.
type Host struct {
	cfg Config
}

// New checks the directory. There is nothing to close.
func New(cfg Config) (*Host, error) {
	if cfg.HandshakeTimeout <= 0 {
		cfg.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if cfg.InitTimeout <= 0 {
		cfg.InitTimeout = DefaultInitTimeout
	}
	if err := checkDir(cfg.Dir); err != nil {
		return nil, err
	}
	return &Host{cfg: cfg}, nil
}

// MaxDir is the longest path of a runtime directory in bytes, so that the paths
// of the sockets in it fit into 107.
func MaxDir() int { return maxDir }

func checkDir(dir string) error {
	if !filepath.IsAbs(dir) {
		return &DirError{Dir: dir, Problem: "is no absolute path"}
	}
	if len(dir) > maxDir {
		return &DirError{Dir: dir, Problem: fmt.Sprintf("is %d bytes long, sockets leave room for %d", len(dir), maxDir)}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("use runtime directory: %w", err)
	}
	if !info.IsDir() {
		return &DirError{Dir: dir, Problem: "is no directory"}
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return &DirError{Dir: dir, Problem: fmt.Sprintf("belongs to user %d", stat.Uid)}
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return &DirError{Dir: dir, Problem: fmt.Sprintf("may be entered by others (mode %04o, want 0700)", perm)}
	}
	return nil
}
