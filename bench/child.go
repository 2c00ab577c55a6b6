package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// child is a program that was started, until it is stopped.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string // file with its output
	done chan struct{}
	err  error // of the exit; valid once done is closed
}

// startChild starts a program with its output going to a file in dir. It has to
// be called from a goroutine that is locked to its thread for the rest of the
// program: the child is asked to leave when that thread ends. It outlives ctx, so
// that it can be stopped in order.
func startChild(ctx context.Context, dir string, argv ...string) (*child, error) {
	name := filepath.Base(argv[0])
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// Its own group: an interrupt from the terminal is this program's to pass on, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = cmd.Wait()
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// exited is the error that describes an exit, or nil while the child runs.
func (c *child) exited() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s ended early: %w%s", c.name, errors.Join(c.err, errEnded), c.tail())
	default:
		return nil
	}
}

// errEnded is a child that left without being asked to.
var errEnded = errors.New("process is gone")

// tail is the end of the child's output, on lines of its own.
func (c *child) tail() string {
	const most = 2000
	data, err := os.ReadFile(c.log)
	if err != nil || len(data) == 0 {
		return ""
	}
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return "\n" + strings.TrimSpace(string(data))
}

// stop asks the child to leave, kills it when it does not within grace, and
// returns when it is gone.
func (c *child) stop(grace time.Duration) error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
	}
	_ = c.cmd.Process.Kill()
	<-c.done
	return fmt.Errorf("stop %s: not gone %v after SIGTERM%s", c.name, grace, c.tail())
}

// killLeft kills those of the processes that still are what they were, and
// returns an error that names them: a contender is to take its own along.
func killLeft(processes []stat) error {
	var left []string
	for _, p := range processes {
		now, err := readStat(p.pid)
		if err != nil || now.started != p.started {
			continue
		}
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		left = append(left, fmt.Sprint(p.pid))
	}
	if len(left) > 0 {
		return fmt.Errorf("processes left behind: %s", strings.Join(left, ", "))
	}
	return nil
}

// poll calls ready at every interval until it is true or fails, for at most limit.
func poll(ctx context.Context, interval, limit time.Duration, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		ok, err := ready()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
