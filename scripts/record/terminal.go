package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	prompt = "$ "
	// interrupted is how a terminal shows ctrl-C.
	interrupted = "^C"
	// keyTime is between two keys.
	keyTime = 35 * time.Millisecond
	// answerLimit is the longest that a command may take.
	answerLimit = 30 * time.Second
)

// terminal is a shell in a pseudo-terminal. Its methods are for one goroutine.
type terminal struct {
	master *os.File
	shell  *exec.Cmd
	began  time.Time
	ended  chan struct{} // closed when nothing will be shown any more
	more   chan struct{} // told when something was shown

	mu    sync.Mutex
	shown output // since the start
}

// startTerminal starts a shell in a terminal of its own.
func startTerminal(ctx context.Context, s *stage, argv ...string) (*terminal, error) {
	master, slave, err := openTerminal()
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	defer func() { _ = slave.Close() }() // the shell has its own
	cmd := s.command(ctx, argv...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setctty = true
	t := &terminal{master: master, shell: cmd, began: time.Now(), ended: make(chan struct{}), more: make(chan struct{}, 1)}
	if err := cmd.Start(); err != nil { //nolint:forbidigo // a tool of its own, which is not shipped
		return nil, errors.Join(fmt.Errorf("start shell: %w", err), master.Close())
	}
	go t.read()
	return t, nil
}

// openTerminal makes a pseudo-terminal (pts(4)).
func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	number, errNumber := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	err = errors.Join(
		errNumber,
		unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}),
	)
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}

// read notes what is shown, until the shell and all that it started have ended.
func (t *terminal) read() {
	defer close(t.ended)
	buf := make([]byte, 32<<10)
	for {
		n, err := t.master.Read(buf)
		if n > 0 {
			t.mu.Lock()
			t.shown = append(t.shown, chunk{at: time.Since(t.began), data: string(buf[:n])})
			t.mu.Unlock()
			select {
			case t.more <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// seen is what was shown so far.
func (t *terminal) seen() output {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clip(t.shown)
}

// await returns when the shell has written its prompt.
func (t *terminal) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for {
		text := t.seen().text()
		if text == prompt || strings.HasSuffix(text, "\n"+prompt) || strings.HasSuffix(text, interrupted+prompt) {
			return nil
		}
		select {
		case <-t.more:
		case <-t.ended:
			return fmt.Errorf("wait for the prompt: %w", fs.ErrClosed)
		case <-ctx.Done():
			return fmt.Errorf("wait for the prompt: %w after\n%s", ctx.Err(), text)
		}
	}
}

// play types a line and returns when it was done and read.
func (t *terminal) play(ctx context.Context, l line) error {
	for _, key := range l.text {
		if err := t.press(ctx, string(key)); err != nil {
			return err
		}
	}
	if err := t.press(ctx, "\r"); err != nil {
		return err
	}
	if l.until > 0 {
		if err := pause(ctx, l.until); err != nil {
			return err
		}
		if err := t.press(ctx, "\x03"); err != nil {
			return err
		}
		if err := t.await(ctx); err != nil {
			return err
		}
		if err := t.press(ctx, "\r"); err != nil { // the prompt is behind the ctrl-C
			return err
		}
	}
	if err := t.await(ctx); err != nil {
		return err
	}
	return pause(ctx, l.rest)
}

// press sends a key and waits a moment.
func (t *terminal) press(ctx context.Context, key string) error {
	if _, err := t.master.WriteString(key); err != nil {
		return fmt.Errorf("type: %w", err)
	}
	return pause(ctx, keyTime)
}

// close ends the shell.
func (t *terminal) close() error {
	_ = t.shell.Process.Kill() //nolint:forbidigo // as above
	_ = t.shell.Wait()         //nolint:forbidigo // as above; it was killed
	<-t.ended
	return t.master.Close()
}
