package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// stopFleet has a manager stop.
type stopFleet struct {
	reach  *reach
	noWait bool
}

func stopCommand() command {
	return command{
		name: "stop", short: "stop the fleet that runs",
		long: `
Idle workers leave at once, busy ones finish their job within
graceful_shutdown_wait_time. This waits until the manager has ended; ctrl-C ends
only the waiting. Asked for again, it shortens what running jobs are given, as
signals do.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			s := &stopFleet{reach: addReach(fs)}
			fs.BoolVar(&s.noWait, "no-wait", false, "Do not wait for the end.")
			return s.run
		},
	}
}

func (s *stopFleet) run(ctx context.Context, std *streams, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	return s.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		process := holdProcess(ctx, client.Path())
		defer process.close()
		stopping, err := client.Stop(ctx)
		if err != nil {
			return err
		}
		say := "the fleet stops"
		if stopping.Hurry > 0 {
			say = "the fleet stops already, and was told to hurry"
		}
		if s.noWait {
			_, err = fmt.Fprintln(std.out, say)
			return err
		}
		if err := waitEnd(ctx, client, process); err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.out, "the fleet has stopped")
		return err
	})
}

// waitEnd waits until a manager has ended: until it tells of nothing any more, and its
// process has gone as far as that can be seen.
func waitEnd(ctx context.Context, client *control.Client, process *process) error {
	err := client.Events(ctx, control.EventsQuery{Last: new(int), Follow: true}, func(control.Event) error { return nil })
	if _, refused := errors.AsType[*control.AnswerError](err); refused && !process.known() {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return process.wait(ctx)
}

// process is one of which the end can be seen, whoever uses its number by then.
type process struct{ fd int }

// noProcess is the descriptor of one that cannot be seen.
const noProcess = -1

// holdProcess finds who listens at a socket.
func holdProcess(ctx context.Context, socket string) *process {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return &process{fd: noProcess}
	}
	defer func() { _ = conn.Close() }() // nothing was said
	fd, err := unix.PidfdOpen(listener(conn), 0)
	if err != nil {
		return &process{fd: noProcess}
	}
	return &process{fd: fd}
}

// listener is the number of the process at the other end, in our eyes; 0 if there is
// none, as in another container.
func listener(conn net.Conn) (pid int) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil { //nolint:gosec // a descriptor fits
			pid = int(cred.Pid)
		}
	})
	return pid
}

func (p *process) known() bool { return p.fd != noProcess }

// pollEvery is how often waiting for a process looks whether it is to go on.
const pollEvery = 100 * time.Millisecond

// wait waits for the end of the process.
func (p *process) wait(ctx context.Context) error {
	if !p.known() {
		return nil
	}
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor fits
		n, err := unix.Poll(fds, int(pollEvery/time.Millisecond))
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for the manager: %w", err)
		case n > 0:
			return nil
		}
	}
	return context.Cause(ctx)
}

func (p *process) close() {
	if p.known() {
		_ = unix.Close(p.fd)
	}
}
