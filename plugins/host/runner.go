package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-plugin/runner"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// Streams that Launch.Output and Launch.Dropped are told.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// process is a worker's process as go-plugin sees it.
type process struct {
	sup    *supervisor.Supervisor
	launch *Launch
	env    []string
	dir    string // of its socket

	first  *handshakeLine
	stdin  *os.File // the end that is held here
	stdout *supervisor.Output
	stderr *supervisor.Output
	done   chan struct{} // closed when the process has ended and all is cleaned up

	mu      sync.Mutex // of the two, while the process may be both starting and unwanted
	proc    *supervisor.Process
	aborted bool
}

var _ runner.Runner = (*process)(nil)

// Start starts the program. It does not wait for the handshake.
func (p *process) Start(context.Context) error {
	if err := p.openOutputs(); err != nil {
		return err
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		p.closeOutputs()
		return fmt.Errorf("start %s: create pipe: %w", p.launch.Name, err)
	}
	defer func() { _ = theirs.Close() }()
	proc, err := p.sup.Start(p.spec(theirs))
	if err != nil {
		_ = ours.Close()
		p.closeOutputs()
		return err
	}
	// Only the child writes; with many workers each descriptor counts. Output.Close
	// closes them again, which does nothing but return an error.
	_ = p.stdout.Writer().Close()
	_ = p.stderr.Writer().Close()
	p.stdin = ours
	p.started(proc)
	go p.watch()
	return nil
}

func (p *process) started(proc *supervisor.Process) {
	p.mu.Lock()
	p.proc = proc
	if p.aborted {
		_ = proc.Kill() // else it stays a process of the supervisor, which reports it
	}
	p.mu.Unlock()
	if p.launch.Started != nil {
		p.launch.Started(proc)
	}
}

// abort kills the process, now or as soon as it has been started.
func (p *process) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aborted = true
	if p.proc != nil {
		_ = p.proc.Kill() // as above
	}
}

func (p *process) spec(stdin *os.File) supervisor.Spec {
	return supervisor.Spec{
		Name:   p.launch.Name,
		Path:   p.launch.Path,
		Argv0:  p.launch.Argv0,
		Args:   p.launch.Args,
		Env:    p.env,
		Dir:    p.launch.Dir,
		Stdin:  stdin,
		Stdout: p.stdout.Writer(),
		Stderr: p.stderr.Writer(),

		Limits:    p.launch.Limits,
		KeepGroup: p.launch.KeepGroup,
	}
}

func (p *process) openOutputs() (err error) {
	p.stdout, err = supervisor.NewOutput(p.outputConfig(Stdout, p.first.take))
	if err != nil {
		return fmt.Errorf("start %s: %w", p.launch.Name, err)
	}
	p.stderr, err = supervisor.NewOutput(p.outputConfig(Stderr, nil))
	if err != nil {
		_ = p.stdout.Close()
		return fmt.Errorf("start %s: %w", p.launch.Name, err)
	}
	return nil
}

func (p *process) outputConfig(stream string, first func([]byte)) supervisor.OutputConfig {
	cfg := supervisor.OutputConfig{First: first}
	if p.launch.Output != nil {
		cfg.Line = func(line []byte) { p.launch.Output(stream, string(line)) }
	}
	if p.launch.Dropped != nil {
		cfg.Dropped = func(lines int) { p.launch.Dropped(stream, lines) }
	}
	return cfg
}

// closeOutputs reads what is left. Both at once, since each may have to wait for
// a descendant that left the group and holds the pipe.
func (p *process) closeOutputs() {
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.stdout.Close() }) // what could not be closed is closed
	_ = p.stderr.Close()
	wg.Wait()
}

// watch cleans up after the process. It ends with it.
func (p *process) watch() {
	<-p.proc.Done()
	_ = p.stdin.Close() // may have been closed by Release
	p.closeOutputs()
	p.first.end()
	_ = os.RemoveAll(p.dir) // in a private directory that is removed whole in the end
	close(p.done)
}

func (p *process) tail() []string {
	if p.stderr == nil {
		return nil
	}
	return p.stderr.Tail()
}

// Wait waits for the end of the process and of its output. How it ended is no
// error: nobody but go-plugin asks here.
func (p *process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill kills the process group. It does not wait.
func (p *process) Kill(context.Context) error { return p.proc.Kill() }

// Stdout is the handshake line.
func (p *process) Stdout() io.ReadCloser { return p.first }

// Stderr is empty: the real one is read here.
func (*process) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is the worker's name.
func (p *process) Name() string { return p.launch.Name }

// ID is the process id.
func (p *process) ID() string { return strconv.Itoa(p.proc.PID()) }

// Diagnose has nothing to say; see explain.
func (*process) Diagnose(context.Context) string { return "" }

// PluginToHost refuses every address but a socket in the worker's own directory.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	if network != "unix" || filepath.Dir(addr) != p.dir {
		return "", "", errAddress
	}
	return network, addr, nil
}

// HostToPlugin changes nothing: both share one file system.
func (*process) HostToPlugin(network, addr string) (string, string, error) { return network, addr, nil }

// errAddress is for a plugin that listens elsewhere than it was told to.
var errAddress = errors.New("it does not listen on a socket in the directory that it was given")
